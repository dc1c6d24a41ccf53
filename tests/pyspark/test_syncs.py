"""What a batch of the built binary asks of the disk, seen from outside: how many syncs, and in which order.

The rules are in the engine's `query::commit`; a Rust test holds them at the storage's interface, this one at the kernel's.
"""

import dataclasses
import re
import shutil
import subprocess

import harness
import pytest
from conftest import connect
from streaming import put

pytestmark = pytest.mark.millstream

CALLS = "fsync,fdatasync,rename,renameat,renameat2,link,linkat"
FILES, BATCH = 6, 4  # a batch in which no log compacts and nothing happens for the first time


@dataclasses.dataclass
class Call:
    name: str
    path: str
    began: int
    ended: int

    @property
    def is_sync(self) -> bool:
        return self.name in ("fsync", "fdatasync")


def traced(text: str) -> list[Call]:
    """The calls of a trace that succeeded; several threads' lines are interleaved."""
    calls, open_calls = [], {}
    for number, line in enumerate(text.splitlines()):
        thread, _, rest = line.partition(" ")
        rest = rest.strip()
        if resumed := re.match(r"<\.\.\. (\w+) resumed", rest):
            call = open_calls.pop((thread, resumed[1]))
        elif begun := re.match(r"(\w+)\(", rest):
            name = begun[1]
            # A sync names an open file, the others end with the name to be.
            path = re.search(r"<([^>]*)>", rest) if name in ("fsync", "fdatasync") else re.search(r'.*"([^"]*)"', rest)
            call = Call(name, path[1] if path else "", number, number)
            if "<unfinished" in rest:
                open_calls[thread, name] = call
                continue
        else:
            continue
        call.ended = number
        if "= -1" not in rest:
            calls.append(call)
    return calls


@pytest.fixture
def trace(tmp_path):
    """Runs a server under strace, gives it to the test, then what it did."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode:
        pytest.skip("strace may not trace here")
    output, port = tmp_path / "trace", harness.free_port()
    # With -D the server is the child, strace its grandchild: signals reach the server.
    command = ["strace", "-D", "-f", "-y", "-s", "4096", "-e", f"trace={CALLS}", "-o", str(output)]
    server = harness.Server([*command, str(harness.binary()), "server", "--port", str(port)], port, tmp_path, patience=60)

    def calls() -> list[Call]:
        server.stop()
        return traced(output.read_text())

    yield server, calls
    if server.alive:
        server.kill()


def test_ten_syncs_from_files_to_files(trace, folder):
    server, calls = trace
    session = connect(server.url)
    rows = folder("in")
    put(rows, "0.csv", "0,k")
    query = (
        session.readStream.schema("n long, k string").csv(rows).writeStream.format("csv").option("checkpointLocation", folder("cp"))
    ).start(folder("out"))
    query.processAllAvailable()
    for number in range(1, FILES):
        put(rows, f"{number}.csv", f"{number},k")
        query.processAllAvailable()
    query.stop()
    calls = calls()

    def named(suffix: str) -> Call:
        found = [call for call in calls if not call.is_sync and call.path.endswith(suffix)]
        assert len(found) == 1, (suffix, found)
        return found[0]

    def synced_after(call: Call) -> Call:
        directory = call.path.rsplit("/", 1)[0]
        return min((c for c in calls if c.is_sync and c.path == directory and c.began > call.ended), key=lambda c: c.ended)

    def content(call: Call) -> Call:
        """The sync of a file before it got its name."""
        directory, name = call.path.rsplit("/", 1)
        found = [c for c in calls if c.is_sync and c.path.startswith(f"{directory}/.{name}.") and c.ended < call.began]
        assert len(found) == 1, (call, found)
        return found[0]

    before, commit = (synced_after(named(f"/cp/commits/{n}")) for n in (BATCH - 1, BATCH))
    syncs = [call for call in calls if call.is_sync and before.ended < call.ended <= commit.ended]
    assert len(syncs) == 10, [call.path for call in syncs]

    plan = [named(f"/cp/offsets/{BATCH}"), named(f"/cp/sources/0/{BATCH}")]
    entry = named(f"/out/_spark_metadata/{BATCH}")
    (data,) = (c for c in calls if "/out/part-" in c.path and not c.is_sync and before.ended < c.began < commit.began)
    for call in [*plan, entry, data, named(f"/cp/commits/{BATCH}")]:
        content(call)
    assert before.ended < plan[0].began
    assert all(synced_after(call).ended < data.began for call in plan)
    assert synced_after(data).ended < entry.began
    assert synced_after(entry).ended < named(f"/cp/commits/{BATCH}").began
