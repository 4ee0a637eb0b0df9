#!/usr/bin/env python3
"""Measures Signet side by side with the bare database: one command, one table. Run it with `make bench`.

Every figure is a median over rounds. In each round every row and its yardstick run once, one after the other, so a
noisy neighbour hits them alike; only the ratios travel to another machine.

Environment: BENCH_USERS (1000000), BENCH_ROUNDS (5), BENCH_SECONDS (10), BENCH_CONNECTIONS ("1 16 64 256"),
BENCH_ROWS (words; only rows whose name holds one of them), BENCH_OUT (folder for table, plot and raw figures).
"""

import argparse
import copy
import datetime
import json
import os
import platform
import random
import re
import shutil
import sqlite3
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
SIGNET = ROOT / "target/release/signet"
PARTNERS = 100
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
# The certificate is the service's own, for localhost.
UNVERIFIED = ssl._create_unverified_context()


def fail(message):
    sys.exit(f"bench: {message}")


def tool(name, package, folders=()):
    """The path of an installed tool; installs Debian's package where that may be done."""
    def find():
        path = os.pathsep.join([os.environ.get("PATH", ""), *folders])
        return shutil.which(name, path=path)

    found = find()
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"bench: installing {package}", flush=True)
        subprocess.run(["apt-get", "install", "-y", "-q", package], check=False, stdout=subprocess.DEVNULL)
        found = find()
    return found or fail(f"needs {name}: install Debian's package {package}")


def postgres_folders():
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    return [str(path) for path in sorted(versions, key=lambda path: -int(path.parent.name))]


# ---------------------------------------------------------------- processes


def processes(root):
    """The ids of a process and of all its descendants."""
    children = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def cpu_seconds(root):
    total = 0
    for pid in processes(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        # User and system time, of the process and of its children that have ended.
        total += sum(int(field) for field in fields[11:15])
    return total / TICKS


def resident_mib(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 2**20


# ---------------------------------------------------------------- databases


class Postgres:
    """A private server with its durable defaults, on a unix socket only."""

    def __init__(self, folder):
        bins = postgres_folders()
        self.bin = Path(tool("pg_ctl", "postgresql", bins)).resolve().parent
        self.folder = folder / "pg"
        self.name = "postgres"
        self.folder.mkdir(mode=0o777)
        self.run_as = []
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
            self.run_as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        data = self.folder / "data"
        subprocess.run([*self.run_as, self.bin / "initdb", "-U", "postgres", "-A", "trust", "--no-locale", "-E", "UTF8",
                        "-D", data], check=True, stdout=subprocess.DEVNULL, cwd=self.folder)
        self.process = subprocess.Popen(
            [*self.run_as, self.bin / "postgres", "-D", data, "-k", self.folder, "-c", "listen_addresses=",
             "-c", "max_connections=400"],
            stdout=subprocess.DEVNULL, stderr=(folder / "postgres.log").open("w"), cwd=self.folder)
        while subprocess.run([self.bin / "pg_isready", "-q", "-h", self.folder], check=False).returncode:
            if self.process.poll() is not None:
                fail((folder / "postgres.log").read_text())
            time.sleep(0.05)

    @property
    def url(self):
        return f"postgres://postgres@localhost/{self.name}?host={self.folder}"

    def another(self, name):
        """A second database on the same server."""
        self.sql(f"CREATE DATABASE {name}")
        other = copy.copy(self)
        other.name = name
        return other

    def sql(self, text, stdin=None):
        command = [self.bin / "psql", "-h", self.folder, "-U", "postgres", "-d", self.name, "-qtA", "-v", "ON_ERROR_STOP=1", "-c", text]
        return subprocess.run(command, check=True, input=stdin, stdout=subprocess.PIPE, text=True).stdout

    def pgbench(self, script, clients, seconds):
        # Fewer threads than cores would hold it back; more clients than connections would fail.
        threads = min(clients, 2)
        command = [self.bin / "pgbench", "-h", self.folder, "-U", "postgres", "-n", "-M", "prepared", "-f", script,
                   "-c", str(clients), "-j", str(threads), "-T", str(seconds), "postgres"]
        before = cpu_seconds(self.process.pid)
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        rate = float(re.search(r"tps = ([\d.]+)", out)[1])
        return {"rate": rate, "p50": clients / rate * 1e6, "cpu_database": (cpu_seconds(self.process.pid) - before) / seconds}

    def load(self, users):
        """COPYs the users and one audit entry each."""
        command = [self.bin / "psql", "-h", self.folder, "-U", "postgres", "-d", self.name, "-q",
                   "-v", "ON_ERROR_STOP=1", "-c", "COPY users FROM STDIN"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
            for row in rows(users):
                process.stdin.write("\t".join(row) + "\n")
        if process.returncode:
            fail("COPY failed")
        self.sql(f"""
            INSERT INTO audit_entries SELECT partner_id, user_id, 1, user_id, 'user.registered', 'api_key',
                '0000000000000000', 'bench', '{{}}', 'bench', NULL, registered_at FROM users;
            UPDATE partners p SET user_count = (SELECT count(*) FROM users u WHERE u.partner_id = p.partner_id);
            CREATE SEQUENCE bench_ordinal START 1000000000;
            """)
        self.sql("VACUUM ANALYZE")
        self.sql("CHECKPOINT")

    def create_partners(self):
        values = ",".join(f"('{partner_id(n)}','Bench {n}',now())" for n in range(1, PARTNERS + 1))
        self.sql(f"INSERT INTO partners (partner_id, name, created_at) VALUES {values}")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Sqlite:
    process = None

    def __init__(self, folder):
        self.path = folder / "bench.db"
        self.url = f"sqlite://{self.path}"

    def connect(self):
        connection = sqlite3.connect(self.path)
        # A function of newer versions than Python's; the schema's checks call it.
        connection.create_function("octet_length", 1, lambda text: len(text.encode()), deterministic=True)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    def create_partners(self):
        with self.connect() as connection:
            connection.executemany("INSERT INTO partners (partner_id, name, created_at) VALUES (?, ?, 0)",
                                   [(partner_id(n).bytes, f"Bench {n}") for n in range(1, PARTNERS + 1)])

    def load(self, users):
        def blobs():
            for row in rows(users):
                yield (uuid.UUID(row[0]).bytes, uuid.UUID(row[1]).bytes, int(row[2]), *row[3:8], 0, 0, None, 1)

        with self.connect() as connection:
            connection.executemany("INSERT INTO users VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", blobs())
            connection.execute("""INSERT INTO audit_entries SELECT partner_id, user_id, 1, user_id, 'user.registered',
                'api_key', '0000000000000000', 'bench', '{}', 'bench', NULL, registered_at FROM users""")
            connection.execute("""UPDATE partners SET user_count =
                (SELECT count(*) FROM users WHERE users.partner_id = partners.partner_id)""")

    def stop(self):
        pass


def partner_id(n):
    return uuid.UUID(int=n)


def user_id(partner, ordinal):
    # The last twelve digits are numbers that SQL can put together too.
    return f"00000000-0000-7000-8{partner:03x}-{ordinal:012x}"


def shares(users):
    """How many users each partner has: equal shares, but in the big run most belong to the first one."""
    if users >= 10_000_000:
        rest = users // 10 // (PARTNERS - 1)
        return [users - rest * (PARTNERS - 1)] + [rest] * (PARTNERS - 1)
    return [users // PARTNERS] * PARTNERS


def rows(users):
    at = "2025-09-30 15:01:53.188+00"
    metadata = '{"plan":"gold"}'
    for number, share in enumerate(shares(users), 1):
        partner = str(partner_id(number))
        for ordinal in range(1, share + 1):
            email = f"user{ordinal}@partner{number}.example"
            yield (partner, user_id(number, ordinal), str(ordinal), "John Doe", email, email, "active", metadata, at, at,
                   "\\N", "1")


# ---------------------------------------------------------------- the service


def signet(url, *arguments):
    environment = {**os.environ, "SIGNET_DATABASE_URL": url}
    out = subprocess.run([SIGNET, *arguments], check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return json.loads(out) if "--json" in arguments else out


class Service:
    def __init__(self, database, port, tls, folder):
        self.database = database
        self.is_warm = False
        self.scheme = "https" if tls else "http"
        self.base = f"{self.scheme}://127.0.0.1:{port}"
        environment = {
            **os.environ,
            "SIGNET_DATABASE_URL": database.url,
            "SIGNET_LISTEN": f"127.0.0.1:{port}",
            "SIGNET_MANAGEMENT_LISTEN": f"127.0.0.1:{port + 1}",
            "SIGNET_TLS": "self-signed" if tls else "off",
        }
        self.log = (folder / f"service-{port}.log").open("w")
        self.process = subprocess.Popen([SIGNET, "serve"], env=environment, stdout=self.log, stderr=self.log, cwd=folder)
        started = time.monotonic()
        while not self.is_ready(port + 1):
            if self.process.poll() is not None:
                fail(f"signet ended: see {self.log.name}")
            time.sleep(0.001)
        self.ready_after = time.monotonic() - started

    @staticmethod
    def is_ready(port):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz").status == 200
        except OSError:
            return False

    def measure(self, operation, connections, seconds, targets, deep_offset):
        # Each key costs tens of milliseconds of hashing when it is seen first, which belongs to no row.
        if not self.is_warm:
            self.is_warm = True
            for key in sorted({line.split()[0] for line in targets.open()}):
                request = urllib.request.Request(f"{self.base}/partner/v1/all-users?limit=1",
                                                 headers={"Authorization": f"Bearer {key}"})
                urllib.request.urlopen(request, context=UNVERIFIED).close()
        return self.wrk(operation, connections, seconds, targets, deep_offset)

    def wrk(self, operation, connections, seconds, targets, deep_offset):
        tag = f"t{time.time_ns()}"
        command = [tool("wrk", "wrk"), "-t", str(min(connections, 2)), "-c", str(connections), "-d", f"{seconds}s",
                   "--timeout", "15s", "-s", HERE / "load.lua", self.base, "--", operation, targets, tag,
                   str(deep_offset), str(random.randrange(2**31))]
        service, database = self.process.pid, self.database.process
        before = os.times(), cpu_seconds(service), cpu_seconds(database.pid) if database else 0
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        after = os.times(), cpu_seconds(service), cpu_seconds(database.pid) if database else 0
        result = json.loads(re.search(r"RESULT (.*)", out)[1])
        # One in a thousand may be refused with 503, which counts for nothing; the table tells of it.
        refused = 0 if operation == "bare" else result["bad"]
        if result["broken"] or refused > result["requests"] / 1000:
            fail(f"{operation}: {result['bad']} bad answers, {result['broken']} broken connections\n{out}")
        generator = (after[0].children_user + after[0].children_system
                     - before[0].children_user - before[0].children_system)
        return {
            "rate": (result["requests"] - refused) / result["micros"] * 1e6,
            "refused": refused,
            "p50": result["p50"], "p99": result["p99"], "p999": result["p999"],
            "cpu_generator": generator / seconds,
            "cpu_service": (after[1] - before[1]) / seconds,
            "cpu_database": (after[2] - before[2]) / seconds,
            "resident": resident_mib(service),
        }

    def stop(self):
        self.process.terminate()
        self.process.wait()


def start_and_stop(database, port, folder):
    """How soon the service is ready on a database that exists, and what it then occupies, before any request."""
    service = Service(database, port, True, folder)
    figure = {"ready": service.ready_after * 1e3, "resident": resident_mib(service.process.pid)}
    service.stop()
    return figure


# ---------------------------------------------------------------- the table

PGBENCH_GET = """\\set p random(1, {partners})
\\set u random(1, {share})
SELECT user_id, partner_id, name, email, status, metadata, registered_at, updated_at, removed_at, version FROM users
WHERE partner_id = lpad(to_hex(:p::int), 32, '0')::uuid
  AND user_id = ('0000000000007000' || lpad(to_hex(32768 + :p::int), 4, '0') || lpad(to_hex(:u::int), 12, '0'))::uuid;
"""

# The same two rows as a registration, without its number and its look for duplicates.
PGBENCH_REGISTER = """\\set p random(1, {partners})
\\set r random(1, 9223372036854775807)
BEGIN;
INSERT INTO users VALUES (lpad(to_hex(:p::int), 32, '0')::uuid, lpad(to_hex(:r::bigint), 32, 'b')::uuid,
    nextval('bench_ordinal'), 'Bench User', :r || '@bench.example', :r || '@bench.example', 'active', '{{}}',
    now(), now(), NULL, 1);
INSERT INTO audit_entries VALUES (lpad(to_hex(:p::int), 32, '0')::uuid, lpad(to_hex(:r::bigint), 32, 'b')::uuid, 1,
    gen_random_uuid(), 'user.registered', 'api_key', '0000000000000000', 'bench', '{{{changes}}}', 'bench', '127.0.0.1',
    now());
COMMIT;
"""

# What a registration's audit entry says, in its usual length. The spaces keep pgbench from seeing variables.
CHANGES = ('"name": {"from": null, "to": "Bench User"}, "email": {"from": null, "to": "123456789012@bench.example"}, '
           '"status": {"from": null, "to": "active"}, "metadata": {"from": null, "to": {}}')

# A table that fits into any cache.
FEW = 10_000

# Enough to show what a connection costs in memory.
MANY = 1000

OPERATIONS = ["get", "list", "deep", "register", "update", "mix"]
YARDSTICK = {"get": "pgbench get", "list": "pgbench get", "deep": "pgbench get", "mix": "pgbench get",
             "register": "pgbench register", "update": "pgbench register"}


def plan(connections, only):
    """Every row as (name, connections): yardsticks first."""
    names = ["pgbench get", "pgbench register", "http no-database"]
    names += [f"{scheme} {database} {operation}" for database in ("postgres", "sqlite")
              for scheme in ("http", "https") for operation in OPERATIONS]
    wanted = [name for name in names if not only or "pgbench" in name or any(word in name for word in only)]
    rows = [(name, count) for name in wanted for count in connections]
    if len(connections) > 1 and "http postgres get" in wanted:
        rows.append(("http postgres get", MANY))
    return rows


def measure(row, services, postgres, scripts, targets, seconds, deep_offset):
    name, connections = row
    words = name.split()
    if words[0] == "pgbench":
        return postgres.pgbench(scripts[words[1]], connections, seconds)
    if words[1] == "no-database":
        return services["http", "postgres"].measure("bare", connections, seconds, targets["postgres"], deep_offset)
    scheme, database, operation = words
    return services[scheme, database].measure(operation, connections, seconds, targets[database], deep_offset)


def yardstick(row):
    name, connections = row
    return None if name.startswith("pgbench") else (YARDSTICK.get(name.split()[-1], "pgbench get"), connections)


def summary(figures, key):
    values = [figure[key] for figure in figures if key in figure]
    return (statistics.median(values), min(values), max(values)) if values else None


def table(results):
    lines = ["| row | conns | requests/s (min to max) | ÷ pgbench | p50 µs | p99 µs | p99.9 µs | CPU load/service/database | RSS MiB |",
             "|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    for row, figures in results.items():
        rate = summary(figures, "rate")
        against = results.get(yardstick(row))
        ratio = ""
        if against:
            ratio = f"{statistics.median(mine['rate'] / its['rate'] for mine, its in zip(figures, against)):.2f}"

        def cell(key, form="{:,.0f}"):
            found = summary(figures, key)
            return form.format(found[0]) if found else ""

        split = "/".join(cell(key, "{:.2f}") or "–" for key in ("cpu_generator", "cpu_service", "cpu_database"))
        refused = sum(figure.get("refused", 0) for figure in figures)
        but = f", {refused} refused" if refused else ""
        lines.append(f"| {row[0]} | {row[1]} | {rate[0]:,.0f} ({rate[1]:,.0f} to {rate[2]:,.0f}{but}) | {ratio} | "
                     f"{cell('p50')} | {cell('p99')} | {cell('p999')} | {split} | {cell('resident', '{:.0f}')} |")
    return "\n".join(lines)


def targets_met(results):
    """What the service is held to, as ratios of rows of the same round; those that the rows at hand can tell."""
    def ratio(one, other, key="rate"):
        pairs = zip(results.get(one, []), results.get(other, []))
        values = [mine[key] / its[key] for mine, its in pairs if key in mine and key in its]
        return statistics.median(values) if values else None

    def of(row, compute):
        values = [compute(figure) for figure in results.get(row, [])]
        return statistics.median(values) if values else None

    bench, get, register = "pgbench get", "http postgres get", "http postgres register"
    counts = {count for name, count in results if name == bench}
    # The best of one is none.
    best = max(counts, key=lambda count: summary(results[bench, count], "rate")[0]) if len(counts) > 1 else 0
    least, most = "at least", "at most"
    rows = [
        ("get-user, 64 connections ÷ pgbench, 64 clients", least, 1.4, ratio((get, 64), (bench, 64))),
        (f"get-user, 64 connections ÷ pgbench at its best ({best} clients)", least, 1.0, ratio((get, 64), (bench, best))),
        ("get-user, 64 connections ÷ the route without a database", least, 0.75, ratio((get, 64), ("http no-database", 64))),
        ("get-user, 16 connections ÷ pgbench, 16 clients", least, 0.5, ratio((get, 16), (bench, 16))),
        ("register-user, 64 connections ÷ pgbench's transaction", least, 1.5, ratio((register, 64), ("pgbench register", 64))),
        ("update-user, 64 connections ÷ pgbench's transaction", least, 1.0,
         ratio(("http postgres update", 64), ("pgbench register", 64))),
        ("get-user, one connection: p50 ÷ that of pgbench", most, 2.0, ratio((get, 1), (bench, 1), "p50")),
        ("get-user, 64 connections: p99 ÷ p50", most, 4.0, of((get, 64), lambda figure: figure["p99"] / figure["p50"])),
        ("get-user, 64 connections: TLS ÷ plain", least, 0.85, ratio(("https postgres get", 64), (get, 64))),
        ("get-user: 256 connections ÷ 64", least, 0.95, ratio((get, 256), (get, 64))),
        ("get-user, 64 connections: SQLite ÷ Postgres", least, 1.2, ratio(("http sqlite get", 64), (get, 64))),
        ("register-user, 64 connections: SQLite ÷ Postgres", least, 1.0, ratio(("http sqlite register", 64), (register, 64))),
        ("get-user, 1,000 connections: MiB resident", most, 60, of((get, MANY), lambda figure: figure["resident"])),
        ("get-user, 64 connections: few users ÷ many", most, 1.15,
         ratio(("http postgres get of few", 64), ("http postgres get of many", 64))),
    ]
    for database in ("postgres", "sqlite"):
        start = (f"start on {database}", 0)
        rows += [
            (f"ready on {database} after so many ms", most, 100, of(start, lambda figure: figure["ready"])),
            (f"MiB resident on {database}, idle", most, 30, of(start, lambda figure: figure["resident"])),
        ]
    rows.append(("MB of the release binary", most, 25, SIGNET.stat().st_size / 1e6))
    lines = ["| | target | measured | |", "|---|---:|---:|---|"]
    for name, bound, target, value in rows:
        if value is not None:
            met = value >= target if bound == least else value <= target
            lines.append(f"| {name} | {bound} {target:g} | {value:.2f} | {'met' if met else '**missed**'} |")
    return "\n".join(lines)


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) / 2**20
    return f"{os.cpu_count()} cores ({model[1] if model else platform.machine()}), {memory:.0f} GiB, Linux {platform.release()}"


def plot(results, file):
    """Throughput and p99 against connections, as SVG, by gnuplot."""
    gnuplot = tool("gnuplot", "gnuplot-nox")
    chosen = ["pgbench get", "http no-database", "http postgres get", "https postgres get", "http sqlite get",
              "pgbench register", "http postgres register", "http sqlite register"]
    series = [name for name in chosen if any(row[0] == name for row in results)]
    data, parts = "", {"rate": [], "p99": []}
    for key, label in (("rate", "requests/s"), ("p99", "p99 in µs")):
        for name in series:
            points = [(row[1], summary(figures, key)) for row, figures in results.items() if row[0] == name]
            points = [(count, value[0]) for count, value in points if value]
            if not points:
                continue
            block = f"${key}{len(parts[key])}"
            data += f"{block} << EOD\n" + "\n".join(f"{x} {y}" for x, y in points) + "\nEOD\n"
            # The same colour in both halves.
            colour = chosen.index(name) + 1
            parts[key].append(f"{block} with linespoints lw 2 lc {colour} title '{name}'")
    script = (f"set terminal svg size 900,900 dynamic background 'white'\nset output '{file}'\n{data}"
              "set multiplot layout 2,1\nset logscale x 2\nset logscale y\nset xlabel 'connections'\nset grid\n"
              "set key outside right\n")
    for key, label in (("rate", "requests/s"), ("p99", "p99 in microseconds")):
        script += f"set ylabel '{label}'\nplot {', '.join(parts[key])}\n"
    subprocess.run([gnuplot], input=script, check=True, text=True)


def prepare(database, users, targets, drawn=20_000):
    """Loads the database; writes which key reads which user."""
    signet(database.url, "migrate")
    database.create_partners()
    database.load(users)
    keys = [signet(database.url, "key", "create", "--partner", str(partner_id(n)), "--name", "bench", "--json")["apiKey"]
            for n in range(1, PARTNERS + 1)]
    share = shares(users)
    draw = random.Random(7)
    with targets.open("w") as file:
        for _ in range(drawn):
            partner = draw.randrange(PARTNERS)
            file.write(f"{keys[partner]} {user_id(partner + 1, draw.randint(1, share[partner]))}\n")


def growth(folder, started, users, rounds, seconds):
    """get-user among few users and among many, side by side on one server."""
    few = Postgres(folder)
    started.append(few)
    services, targets = {}, {}
    for port, (key, database, count) in zip((14401, 14411), (("few", few, FEW), ("many", few.another("many"), users))):
        print(f"bench: loading {count:,} users", flush=True)
        targets[key] = folder / f"{key}.txt"
        prepare(database, count, targets[key], 200_000)
        services[key] = Service(database, port, False, folder)
        started.append(services[key])
    results = {(f"http postgres get of {key}", 64): [] for key in services}
    for number in range(rounds + 1):
        for row in results:
            key = row[0].split()[-1]
            figure = services[key].measure("get", 64, seconds, targets[key], 0)
            if number:  # the first is the warm-up
                results[row].append(figure)
    return results


def report(out, results, starts, users, rounds, seconds):
    """What is known after so many rounds: an hour is not lost to the next one."""
    heading = (f"{datetime.date.today()}, {machine()}; {users:,} users under {PARTNERS} partners, "
               f"{rounds} rounds of {seconds} s; median (minimum to maximum)")
    text = f"{heading}\n\n{table(results)}\n\n{targets_met(results | starts)}\n"
    (out / "table.md").write_text(text)
    raw = [{"row": row[0], "connections": row[1], "rounds": figures} for row, figures in (results | starts).items()]
    (out / "raw.json").write_text(json.dumps(raw, indent=1))
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round at 64 connections over 100,000 users")
    parser.add_argument("--growth", action="store_true", help="get-user among 10,000 users and among 10,000,000")
    arguments = parser.parse_args()
    quick = arguments.quick
    users = int(os.environ.get("BENCH_USERS", 100_000 if quick else 10_000_000 if arguments.growth else 1_000_000))
    rounds = int(os.environ.get("BENCH_ROUNDS", 1 if quick else 5))
    seconds = int(os.environ.get("BENCH_SECONDS", 3 if quick else 10))
    connections = [int(word) for word in os.environ.get("BENCH_CONNECTIONS", "64" if quick else "1 16 64 256").split()]
    only = os.environ.get("BENCH_ROWS", "").split()
    out = Path(os.environ.get("BENCH_OUT", ROOT / "target/bench"))
    out.mkdir(parents=True, exist_ok=True)
    for name, package in (("wrk", "wrk"), ("gnuplot", "gnuplot-nox"), ("curl", "curl")):
        tool(name, package)
    if not SIGNET.exists():
        fail("needs target/release/signet: run make bench")

    with tempfile.TemporaryDirectory(prefix="signet-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        started = []
        try:
            if arguments.growth:
                results = growth(folder, started, users, rounds, seconds)
                print(f"\n{datetime.date.today()}, {machine()}; {FEW:,} and {users:,} users\n\n{table(results)}\n\n"
                      f"{targets_met(results)}")
                return
            postgres, lite = Postgres(folder), Sqlite(folder)
            started += [postgres]
            targets = {"postgres": folder / "postgres.txt", "sqlite": folder / "sqlite.txt"}
            for database, key in ((postgres, "postgres"), (lite, "sqlite")):
                print(f"bench: loading {users:,} users into {key}", flush=True)
                prepare(database, users, targets[key])
            scripts = {"get": folder / "get.sql", "register": folder / "register.sql"}
            share = min(shares(users))
            scripts["get"].write_text(PGBENCH_GET.format(partners=PARTNERS, share=share))
            scripts["register"].write_text(PGBENCH_REGISTER.format(partners=PARTNERS, changes=CHANGES))
            for file in scripts.values():
                file.chmod(0o644)
            services = {}
            for port, (scheme, key) in zip(range(14401, 14441, 10), [(s, d) for s in ("http", "https") for d in targets]):
                database = postgres if key == "postgres" else lite
                services[scheme, key] = Service(database, port, scheme == "https", folder)
                started.append(services[scheme, key])

            todo = plan(connections, only)
            deep = share * 9 // 10
            if not quick:
                for row in todo:  # the warm-up
                    measure(row, services, postgres, scripts, targets, 1, deep)
            results = {row: [] for row in todo}
            starts = {(f"start on {key}", 0): [start_and_stop(database, 14461, folder) for _ in range(max(rounds, 5))]
                      for key, database in (("postgres", postgres), ("sqlite", lite))}
            for number in range(1, rounds + 1):
                for row in todo:
                    figure = measure(row, services, postgres, scripts, targets, seconds, deep)
                    results[row].append(figure)
                    print(f"round {number}/{rounds}  {row[0]:<26} {row[1]:>4}  {figure['rate']:>10,.0f}/s", flush=True)
                postgres.sql("VACUUM users, audit_entries, partners")
                text = report(out, results, starts, users, number, seconds)
        finally:
            for process in reversed(started):
                process.stop()

    print("\n" + text)
    if len(connections) > 1:
        plot(results, out / "connections.svg")


if __name__ == "__main__":
    main()
