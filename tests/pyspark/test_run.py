"""`millstream run`: scripts as they are."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import harness
import pytest

pytestmark = pytest.mark.millstream

EXAMPLES = harness.ROOT / "examples"
TUTORIALS = sorted((EXAMPLES / "tutorials").glob("*.py"))


def run(script, *arguments, cwd, seconds=120, **environment):
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_", "PYSPARK_"))}
    environ |= {"PYSPARK_PYTHON": sys.executable, "PYTHONWARNINGS": "ignore", **environment}
    command = [str(harness.binary()), "run", str(script), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=seconds, check=False)


def script(folder, text) -> pathlib.Path:
    path = pathlib.Path(folder("app.py"))
    path.write_text(text)
    return path


HEAD = "from pyspark.sql import SparkSession\nspark = SparkSession.builder.master('local[*]').getOrCreate()\n"


def test_a_script_runs_and_its_exit_code_is_ours(folder, tmp_path):
    done = run(script(folder, HEAD + "import sys\nprint(spark.range(4).count(), sys.argv[1:])\nsys.exit(7)\n"), "a", "b", cwd=tmp_path)
    assert done.stdout == "4 ['a', 'b']\n", done.stderr
    assert done.returncode == 7


def test_the_master_is_dropped_with_one_notice(folder, tmp_path):
    done = run(script(folder, HEAD + "print(spark.range(1).count())\n"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("master") == 1


def test_spark_context_has_what_tutorials_use(folder, tmp_path):
    text = HEAD + (
        "spark.sparkContext.setLogLevel('ERROR')\n"
        "print(spark.sparkContext.version == spark.version, bool(spark.sparkContext.applicationId))\n"
        "try:\n    spark.sparkContext.parallelize([1])\nexcept Exception as e:\n    print(type(e).__name__)\n"
    )
    done = run(script(folder, text), cwd=tmp_path)
    assert done.stdout.startswith("True True\nPySpark"), done.stdout + done.stderr


def test_an_exception_is_shown_and_fails(folder, tmp_path):
    done = run(script(folder, HEAD + "spark.sql('SELECT nothing').show()\n"), cwd=tmp_path)
    assert done.returncode == 1
    assert "UNRESOLVED_COLUMN" in done.stderr and "app.py" in done.stderr


def test_relative_paths_are_those_of_the_start(folder, tmp_path):
    (tmp_path / "data.csv").write_text("1,2\n")
    done = run(script(folder, HEAD + "spark.read.csv('data.csv').write.csv('copy')\n"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "copy").glob("part-*.csv"))


def test_conf_reaches_the_session(folder, tmp_path):
    path = script(folder, HEAD + "print(spark.conf.get('spark.sql.ansi.enabled'))\n")
    done = run(path, "--conf", "spark.sql.ansi.enabled=false", cwd=tmp_path)
    assert done.stdout == "false\n", done.stderr


def test_a_missing_script(tmp_path):
    done = run(tmp_path / "none.py", cwd=tmp_path)
    assert done.returncode != 0 and "none.py" in done.stderr


def test_a_missing_interpreter(folder, tmp_path):
    done = run(script(folder, HEAD), cwd=tmp_path, PYSPARK_PYTHON="/nowhere/python3")
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1


def test_ctrl_c_ends_the_script(folder, tmp_path):
    text = HEAD + (
        "q = spark.readStream.format('rate').load().writeStream.format('noop').start()\n"
        "print('running', flush=True)\nq.awaitTermination()\n"
    )
    environ = {**os.environ, "PYSPARK_PYTHON": sys.executable, "PYTHONWARNINGS": "ignore"}
    process = subprocess.Popen(
        [str(harness.binary()), "run", str(script(folder, text))],
        cwd=tmp_path, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert time.monotonic() - begin < 15


def test_ctrl_c_inside_of_a_finaliser_is_not_lost(folder, tmp_path):
    text = (
        "import os, signal, time\n"
        "class Finalised:\n"
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        time.sleep(0.1)\n"
        "Finalised()\n"
        "time.sleep(60)\n"
    )
    begin = time.monotonic()
    done = run(script(folder, text), cwd=tmp_path)
    assert done.returncode != 0 and "KeyboardInterrupt" in done.stderr
    assert time.monotonic() - begin < 30


def test_ctrl_c_ends_a_script_that_would_wait_for_a_thread(folder, tmp_path):
    text = (
        "import os, signal, threading, time\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        "print('said before', end='')\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "time.sleep(60)\n"
    )
    begin = time.monotonic()
    done = run(script(folder, text), cwd=tmp_path)
    assert done.returncode != 0 and "KeyboardInterrupt" in done.stderr and done.stdout == "said before"
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda p: p.stem)
def test_tutorials(path, tmp_path):
    done = run(path, cwd=tmp_path, TZ="UTC")
    assert done.returncode == 0, done.stdout + done.stderr
    expected = {
        "word_count": "|mill  |2    |",
        "rate_to_console": "still running after",
        "sensor_windows": "dropped as late: 2",
        "orders_to_parquet": "|  3|NULL|2024-06-04|100.00|     ??|",
        "clicks_by_window": "|{2024-06-01 12:00:00, 2024-06-01 12:05:00}|600   |38   |",
    }[path.stem]
    assert expected in done.stdout + done.stderr, done.stdout + done.stderr


@pytest.mark.slow
def test_the_three_tasks(tmp_path):
    done = run(EXAMPLES / "three_tasks.py", "--fast", "--rows", "60000", "--batches", "8", cwd=tmp_path, seconds=180)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "task3: 8000 rows sent, 8000 rows in" in done.stdout
    assert "task3-2nd: 12500 rows sent, 12500 rows in" in done.stdout


@pytest.mark.slow
def test_the_demo(tmp_path):
    done = run(EXAMPLES / "demo.py", "--rows", "30000", "--seconds", "3", "--out", "out", cwd=tmp_path, seconds=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5,000 rows sent, 5,000 rows in the single CSV" in done.stdout
