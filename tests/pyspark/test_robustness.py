"""What people and networks do to a server: it lives, and nobody else notices."""

import socket
import threading
import time

import pytest
from conftest import connect, end
from pyspark.sql import functions as F
from streaming import eventually, put, tuples


def test_a_client_that_vanishes_in_the_middle(remote, spark, folder):
    other = connect(remote)
    put(folder("in"), "a.csv", "1")
    query = other.readStream.schema("v int").csv(folder("in")).writeStream.format("memory").queryName("left").start()
    query.processAllAvailable()
    other.client._channel.close()  # no goodbye
    assert spark.range(10).count() == 10


def test_a_result_abandoned_half_way(remote, spark):
    other = connect(remote)
    rows = other.range(2_000_000).toLocalIterator()
    next(rows)
    other.client._channel.close()
    assert spark.range(10).count() == 10


def test_many_sessions_at_once(remote):
    results, threads = [], []

    def work(n):
        session = connect(remote)
        results.append(session.range(n).agg(F.sum("id")).first()[0] == n * (n - 1) // 2)
        end(session)

    for n in range(1, 13):
        threads.append(threading.Thread(target=work, args=(n * 1000,)))
        threads[-1].start()
    for thread in threads:
        thread.join(60)
    assert results == [True] * 12


def test_interrupt_by_tag(spark):
    outcome = []

    def work():
        spark.addTag("long")  # tags belong to a thread
        try:
            spark.range(10**10).selectExpr("sum(id * id % 7)").collect()
            outcome.append("finished")
        except Exception as error:  # noqa: BLE001
            outcome.append(str(error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    eventually(lambda: spark.interruptTag("long") or outcome, seconds=10)
    thread.join(30)
    assert outcome and "OPERATION_CANCELED" in outcome[0]
    assert spark.range(3).count() == 3


@pytest.mark.millstream
def test_bytes_that_are_no_grpc(remote, spark):
    port = int(remote.rsplit(":", 1)[1])
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 1000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 200):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
            raw.sendall(garbage)
            raw.settimeout(2)
            try:
                raw.recv(1000)
            except OSError:
                pass
    assert spark.range(3).count() == 3


def test_a_bad_query_leaves_the_good_one_alone(spark, folder):
    put(folder("in"), "a.csv", "0", "1")
    stream = spark.readStream.schema("v int").csv(folder("in"))
    good = stream.writeStream.format("memory").queryName("good").start()
    bad = stream.selectExpr("1 / v AS q").writeStream.format("noop").start()
    with pytest.raises(Exception, match="DIVIDE_BY_ZERO"):
        bad.awaitTermination(60)
    put(folder("in"), "b.csv", "2")
    good.processAllAvailable()
    assert tuples(spark.table("good")) == [(0,), (1,), (2,)]


@pytest.mark.millstream
def test_expressions_too_deep_are_an_error_not_a_crash(spark):
    text = "(" * 3000 + "1" + ")" * 3000
    try:
        assert spark.sql(f"SELECT {text}").first()[0] == 1
    except Exception as error:  # noqa: BLE001
        assert "UNAVAILABLE" not in str(error), error
    assert spark.range(3).count() == 3


@pytest.mark.millstream
def test_ready_at_once_and_small_when_idle(own_server):
    begin = time.monotonic()
    server = own_server()
    assert time.monotonic() - begin < 2  # a dev build on a busy machine; the aim is 50 ms
    with open(f"/proc/{server.process.pid}/status") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    assert resident < 120_000, f"{resident} kB"


@pytest.mark.millstream
def test_the_server_stops_on_sigterm(own_server, folder):
    server = own_server()
    session = connect(server.url)
    put(folder("in"), "a.csv", "1")
    session.readStream.schema("v int").csv(folder("in")).writeStream.format("noop").start().processAllAvailable()
    assert server.stop() in (0, 143, -15)
    end(session)


NULL_KEYS = {
    "decimal(10,2)": ("12.34", """
        cast(k as double); cast(k as float); cast(k as bigint); cast(k as timestamp); cast(k as string); abs(k); -k;
        round(k,1); bround(k,-1); ceil(k); floor(k); k+k; k*k; k%7; try_divide(k,3); cast(k as decimal(30,5));
        sign(k); sqrt(k)"""),
    "timestamp": ("2024-03-10T07:00:00", """
        year(k); hour(k); date_trunc('month',k); cast(k as double); cast(k as date); cast(k as decimal(20,6));
        unix_micros(k); date_format(k,'yyyy'); from_utc_timestamp(k,'Asia/Tokyo'); weekofyear(k); cast(k as
        timestamp_ntz); last_day(k); k-k; unix_timestamp(k); second(k); extract(second from k); datediff(k,k);
        months_between(k,k); timestampadd(month,1,k)"""),
    "date": ("2024-03-10", """
        year(k); weekofyear(k); last_day(k); date_add(k,1); add_months(k,1); trunc(k,'year'); cast(k as timestamp);
        date_format(k,'yyyy'); next_day(k,'mon'); unix_date(k); k-k; dayofweek(k); quarter(k); dayname(k);
        monthname(k); cast(k as string)"""),
    "bigint": ("7", """
        abs(k); -k; k+k; k*k; k%7; cast(k as int); cast(k as timestamp); cast(k as decimal(20,2));
        timestamp_seconds(k); hex(k); bin(k); round(k,-1); bround(k,-1); shiftleft(k,1); bit_count(k);
        factorial(cast(k as int)); ~k; k/2; k div 2; cast(k as string); chr(k)"""),
    "int": ("7", """
        abs(k); -k; k+k; k*k; k%7; cast(k as smallint); cast(k as double); date_from_unix_date(k); make_date(k,1,1);
        cast(make_interval(k) as string); space(k); sequence(0,k)"""),
    "double": ("1.5", """
        abs(k); -k; k+k; k%2; ceil(k); floor(k); round(k,1); bround(k,1); cast(k as bigint); cast(k as timestamp);
        cast(k as decimal(10,2)); rint(k); exp(k); signum(k)"""),
}  # fmt: skip


@pytest.mark.parametrize("kind", NULL_KEYS)
def test_nothing_looks_at_what_is_below_a_null(spark, folder, kind):
    """A key that is null comes out of state with any bits below it; some values have no opposite."""
    value, calls = NULL_KEYS[kind]
    calls = [call.strip() for call in calls.split(";")]
    put(folder("in"), "a.csv", value, '""')
    rows = spark.readStream.schema(f"k {kind}").csv(folder("in")).groupBy("k").count()
    names = [f"{call} as c{n}" for n, call in enumerate(calls)]
    writer = rows.selectExpr("k", *names).writeStream.format("memory").queryName("nulls").outputMode("complete")
    query = writer.trigger(availableNow=True).start()
    query.awaitTermination()
    found = spark.table("nulls").collect()
    assert sorted(all(cell is None for cell in row) for row in found) == [False, True]
    assert all(cell is not None for row in found if row.k is not None for cell in row)
