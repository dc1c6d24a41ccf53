"""SIGKILL at random moments, then a restart: every row once, whatever was going on."""

import collections
import json
import os
import pathlib
import random
import subprocess
import time

import harness
import pytest
from conftest import connect, end
from pyspark.sql import functions as F
from streaming import lines, log, put, sink_entries, tuples, visible

pytestmark = pytest.mark.millstream

FILES, ROWS = 60, 50


def feed(folder: str) -> list[str]:
    """Files of rows `number,key,event second`; returns the lines."""
    every = []
    for i in range(FILES):
        rows = [f"{i * ROWS + j},k{j % 3},{i * 4 + j % 7}" for j in range(ROWS)]
        put(folder, f"{i:03d}.csv", *rows)
        every += rows
    return every


def source(session, folder):
    return session.readStream.schema("n long, k string, s long").option("maxFilesPerTrigger", 1).csv(folder("in"))


def copying(session, folder):
    return (
        source(session, folder)
        .writeStream.format("csv")
        .option("checkpointLocation", folder("cp"))
        .option("path", folder("out"))
        .trigger(availableNow=True)
        .start()
    )


def counting(session, folder):
    counts = (
        source(session, folder)
        .withColumn("ts", F.timestamp_seconds("s"))
        .withWatermark("ts", "10 seconds")
        .groupBy(F.window("ts", "20 seconds", "5 seconds"), "k")
        .agg(F.count("*").alias("c"), F.sum("n").alias("t"))
        .selectExpr("unix_timestamp(window.start) w", "k", "c", "t")
    )
    return (
        counts.writeStream.format("json")
        .option("checkpointLocation", folder("cp"))
        .option("path", folder("out"))
        .trigger(availableNow=True)
        .start()
    )


def first_rows(session, folder):
    return source(session, folder).withColumn("ts", F.timestamp_seconds("s")).withWatermark("ts", "10 seconds").dropDuplicates(["k", "ts"])


def deduplicating(session, folder):
    return (
        first_rows(session, folder)
        .select("n", "k", "s")
        .writeStream.format("csv")
        .option("checkpointLocation", folder("cp"))
        .option("path", folder("out"))
        .trigger(availableNow=True)
        .start()
    )


def counting_first_rows(session, folder):
    counts = first_rows(session, folder).groupBy(F.window("ts", "20 seconds"), "k").agg(F.count("*").alias("c"), F.sum("n").alias("t"))
    return (
        counts.selectExpr("unix_timestamp(window.start) w", "k", "c", "t")
        .writeStream.format("json")
        .option("checkpointLocation", folder("cp"))
        .option("path", folder("out"))
        .trigger(availableNow=True)
        .start()
    )


def batches(folder):
    """How many batches have been planned."""
    offsets = pathlib.Path(folder("cp", "offsets"))
    return sum(entry.name.isdigit() for entry in offsets.iterdir()) if offsets.exists() else 0


def killed_again_and_again(own_server, folder, start, seed):
    """Runs the query to its end on servers that are killed at random moments; returns how many were."""
    chance = random.Random(seed)
    for kills in range(25):
        server = own_server()
        session = connect(server.url)
        session.conf.set("spark.sql.shuffle.partitions", "2")
        query = start(session, folder)
        if kills < 12:
            # By progress, not by the clock alone: a fast machine must be killed in the middle too.
            planned = batches(folder) + chance.randrange(4)
            while query.isActive and batches(folder) < planned:
                time.sleep(0.001)
            time.sleep(chance.choice([0, 0.005, 0.02]) * chance.random())
        if query.awaitTermination(0.001 if kills < 12 else 120):
            end(session)
            server.stop()
            return kills
        server.kill()
    raise AssertionError("it never came to an end")


@pytest.mark.parametrize("seed", range(3))
def test_every_row_once(own_server, folder, seed):
    expected = feed(folder("in"))
    kills = killed_again_and_again(own_server, folder, copying, seed)
    assert kills > 0
    assert lines(folder("out")) == sorted(expected)
    listed = [entry["path"] for entry in sink_entries(folder("out"))]
    assert len(listed) == len(set(listed)) == len(visible(folder("out")))
    assert len(log(folder("cp", "commits"))) >= 1


@pytest.mark.parametrize("seed", range(3))
def test_every_window_once(own_server, folder, seed):
    rows = [line.split(",") for line in feed(folder("in"))]
    kills = killed_again_and_again(own_server, folder, counting, seed)
    assert kills > 0
    expected = collections.defaultdict(lambda: [0, 0])
    for number, key, second in rows:
        for start in range(int(second) // 5 * 5 - 15, int(second) // 5 * 5 + 1, 5):
            group = expected[start, key]
            group[0] += 1
            group[1] += int(number)
    closed = last_watermark(folder)
    # No row is late here: the rows of a file reach back seven seconds, the watermark ten.
    assert sorted(lines(folder("out"))) == sorted(
        json.dumps({"w": w, "k": k, "c": c, "t": t}, separators=(",", ":"))
        for (w, k), (c, t) in expected.items()
        if 0 < w + 20 <= closed
    )


def last_watermark(folder):
    """Of the last batch, in seconds. What a run that is killed before its last batch without data leaves, comes with the
    next data, as in Spark."""
    offsets = log(folder("cp", "offsets"))
    assert max(offsets) == max(log(folder("cp", "commits")))
    return offsets[max(offsets)][1]["batchWatermarkMs"] // 1000


def firsts(rows):
    """Of the lines of `feed`, the first of each key and second; what is not after the epoch is late from the start."""
    first = {}
    for number, key, second in (line.split(",") for line in rows):
        first.setdefault((key, int(second)), int(number))
    return {key: number for key, number in first.items() if key[1] > 0}


@pytest.mark.parametrize("seed", range(2))
def test_every_first_row_once(own_server, folder, seed):
    first = firsts(feed(folder("in")))
    assert killed_again_and_again(own_server, folder, deduplicating, seed) > 0
    assert lines(folder("out")) == sorted(f"{number},{key},{second}" for (key, second), number in first.items())


@pytest.mark.parametrize("seed", range(2))
def test_every_window_of_first_rows_once(own_server, folder, seed):
    first = firsts(feed(folder("in")))
    assert killed_again_and_again(own_server, folder, counting_first_rows, seed) > 0
    expected = collections.defaultdict(lambda: [0, 0])
    for (key, second), number in first.items():
        group = expected[second // 20 * 20, key]
        group[0] += 1
        group[1] += number
    closed = last_watermark(folder)
    assert sorted(lines(folder("out"))) == sorted(
        json.dumps({"w": w, "k": k, "c": c, "t": t}, separators=(",", ":")) for (w, k), (c, t) in expected.items() if w + 20 <= closed
    )


def test_planned_batches_replay_with_the_same_offsets(own_server, folder):
    feed(folder("in"))
    server = own_server()
    session = connect(server.url)
    copying(session, folder)
    commits = pathlib.Path(folder("cp", "commits"))
    while not commits.exists() or len(list(commits.iterdir())) < 5:
        time.sleep(0.005)
    server.kill()
    planned = {n: entry[2:] for n, entry in log(folder("cp", "offsets")).items()}
    server = own_server()
    session = connect(server.url)
    assert copying(session, folder).awaitTermination(120)
    after = {n: entry[2:] for n, entry in log(folder("cp", "offsets")).items()}
    assert planned.items() <= after.items()


def test_two_queries_of_one_folder_survive_a_kill(own_server, folder):
    for pid in ("a", "b"):
        for i in range(20):
            put(folder(pid, "in"), f"{i:02d}.csv", *(f"{i * 10 + j},{pid},0" for j in range(10)))

    def both(session):
        return [
            session.readStream.schema("n long, k string, s long")
            .option("maxFilesPerTrigger", 1)
            .csv(folder(pid, "in"))
            .writeStream.format("csv")
            .option("checkpointLocation", folder(pid, "cp"))
            .trigger(availableNow=True)
            .start(folder("out"))
            for pid in ("a", "b")
        ]

    chance = random.Random(5)
    for _ in range(4):
        server = own_server()
        both(connect(server.url))
        time.sleep(chance.random() * 0.8)
        server.kill()
    server = own_server()
    session = connect(server.url)
    for query in both(session):
        assert query.awaitTermination(120)
    expected = sorted(f"{n},{pid},0" for pid in ("a", "b") for n in range(200))
    assert lines(folder("out")) == expected
    assert sorted(",".join(row) for row in session.read.csv(folder("out")).collect()) == expected


PIPELINE = """
CREATE STREAMING TABLE copied AS SELECT n, k FROM STREAM fed;
CREATE STREAMING TABLE again AS SELECT n + 1 AS n, k FROM STREAM copied;
CREATE MATERIALIZED VIEW total AS SELECT count(*) AS c, count(DISTINCT n) AS d, sum(n) AS s FROM again;
"""


def test_a_pipeline_killed_half_way_loses_and_doubles_nothing(own_server, folder, tmp_path):
    """Its server dies at some moment of a run; a later run on another server brings all rows, once."""
    script = tmp_path / "pipeline.sql"
    script.write_text(PIPELINE)
    storage = tmp_path / "storage"

    def start(server):
        command = [str(harness.binary()), "run", str(script), "--remote", server.url, "--storage", f"file://{storage}"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SPARK_")}
        return subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def logged():
        """Plans and commits of all flows."""
        return sum(len(files) for at, _, files in os.walk(storage) if at.endswith(("/offsets", "/commits")))

    chance, cut_off, rows = random.Random(11), 0, 0
    session = connect(own_server().url)
    session.sql("CREATE TABLE fed (n BIGINT, k STRING) USING parquet").collect()
    for kills in range(9):
        server = own_server()
        session = connect(server.url)
        session.sql(f"INSERT INTO fed SELECT id + {rows}, concat('k', id % 3) FROM range(200)").collect()
        rows += 200
        run = start(server)
        if kills == 8:
            output, _ = run.communicate(timeout=120)
            assert run.returncode == 0, output
            break
        # By what is on disk, not by the clock alone: plans and commits of two flows.
        wanted = logged() + kills % 5
        while run.poll() is None and logged() < wanted:
            time.sleep(0.001)
        time.sleep(chance.choice([0, 0.002, 0.01]) * chance.random())
        cut_off += run.poll() is None
        server.kill()
        run.communicate(timeout=120)
    assert cut_off > 3, "the runs were over before the kills"
    numbers = sorted(n for n, _ in session.sql("SELECT n, k FROM copied").collect())
    assert numbers == list(range(rows))
    assert sorted(n for n, _ in session.sql("SELECT n, k FROM again").collect()) == [n + 1 for n in range(rows)]
    assert tuples(session.sql("SELECT * FROM total")) == [(rows, rows, rows * (rows + 1) // 2)]


def test_one_run_per_checkpoint_across_processes(own_server, folder):
    put(folder("in"), "a.csv", "1,k,1")
    one, two = own_server(), own_server()
    first, second = connect(one.url), connect(two.url)
    query = source(first, folder).writeStream.format("noop").option("checkpointLocation", folder("cp")).start()
    query.processAllAvailable()
    with pytest.raises(Exception, match="(?i)concurrent|already|active|in use"):
        other = source(second, folder).writeStream.format("noop").option("checkpointLocation", folder("cp")).start()
        other.processAllAvailable()
    assert query.isActive
    one.kill()
    again = source(second, folder).writeStream.format("noop").option("checkpointLocation", folder("cp")).start()
    again.processAllAvailable()
    assert again.id == query.id


def test_an_incompatible_change_is_refused(own_server, folder):
    put(folder("in"), "a.csv", "1,k,1")
    session = connect(own_server().url)

    def run(*keys):
        query = (
            source(session, folder)
            .groupBy(*keys)
            .count()
            .writeStream.format("memory")
            .queryName("q")
            .outputMode("complete")
            .option("checkpointLocation", folder("cp"))
            .start()
        )
        query.processAllAvailable()
        query.stop()

    run("k")
    run("k")
    with pytest.raises(Exception, match="STATE_STORE_|(?i:schema|state)"):
        run("n", "k")


def test_old_log_entries_are_purged(own_server, folder):
    session = connect(own_server().url)
    session.conf.set("spark.sql.streaming.minBatchesToRetain", "4")
    for of in ("fileSource", "fileSink"):
        session.conf.set(f"spark.sql.streaming.{of}.log.compactInterval", "3")
        session.conf.set(f"spark.sql.streaming.{of}.log.cleanupDelay", "0")
    for i in range(16):
        put(folder("in"), f"{i:03d}.csv", f"{i},k,1")
    assert copying(session, folder).awaitTermination(120)
    for name in ("offsets", "commits"):
        numbers = list(log(folder("cp", name)))
        assert numbers[-1] >= 15 and 4 <= len(numbers) <= 7
    for of in (folder("cp", "sources", "0"), folder("out", "_spark_metadata")):
        names = {entry.name for entry in pathlib.Path(of).iterdir() if not entry.name.startswith(".")}
        assert "14.compact" in names and "2.compact" not in names and len(names) < 12, names


def test_a_full_disk_or_a_lost_folder_fails_that_query_alone(own_server, folder):
    if os.geteuid() == 0 and not pathlib.Path("/dev/full").exists():
        pytest.skip("nothing here that cannot be written")
    put(folder("in"), "a.csv", "1,k,1")
    session = connect(own_server().url)
    pathlib.Path(folder("file")).write_text("no folder")
    with pytest.raises(Exception):
        query = (
            source(session, folder).writeStream.format("csv").option("checkpointLocation", folder("cp")).start(folder("file", "out"))
        )
        query.processAllAvailable()
    good = source(session, folder).writeStream.format("memory").queryName("good").start()
    good.processAllAvailable()
    assert tuples(session.table("good")) == [(1, "k", 1)]
