"""`millstream run --remote`: the same script on another Connect server, Apache Spark's too (`make spark-tests`)."""

import harness
import pytest
from test_run import EXAMPLES, HEAD, run, script


def test_a_script_runs_on_the_server_it_is_sent_to(remote, folder, tmp_path):
    text = HEAD + "spark.conf.set('a.key', 'a value')\nprint(spark.range(5).count(), spark.conf.get('a.key'))\nspark.sql('SELECT x').show()\n"
    done = run(script(folder, text), "--remote", remote, cwd=tmp_path)
    assert done.stdout == "5 a value\n", done.stderr
    assert done.returncode == 1
    assert "UNRESOLVED_COLUMN" in done.stderr


@pytest.mark.parametrize("name, expected", [("clicks_by_window", "|{2024-06-01 12:00:00, 2024-06-01 12:05:00}|600   |38   |"), ("sensor_windows", "dropped as late: 2")])
def test_streaming_scripts_too(remote, name, expected, tmp_path):
    done = run(EXAMPLES / "tutorials" / f"{name}.py", "--remote", remote, cwd=tmp_path, seconds=300, TZ="UTC")
    assert done.returncode == 0, done.stdout + done.stderr
    assert expected in done.stdout + done.stderr, done.stdout + done.stderr


def test_nobody_there(folder, tmp_path):
    port = harness.free_port()
    done = run(script(folder, HEAD + "print(spark.range(5).count())\n"), "--remote", f"sc://127.0.0.1:{port}", cwd=tmp_path)
    assert done.returncode != 0
    assert f"no Spark Connect server at 127.0.0.1:{port}" in done.stderr and len(done.stderr.splitlines()) == 1
