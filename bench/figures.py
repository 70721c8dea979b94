"""What the benchmarks measured: medians, paired ratios, and the ratios to reach.

The figures of every single run are in results/latest.json; all else is computed from it.
"""

import json
from statistics import median
from typing import NamedTuple

OURS = "ours"
OUR_LOOP = "ours-loop"
LABELS = {
    OURS: "websession",
    "ours-renewing": "websession, renewing",
    "ours-loop": "websession, one event loop",
    "ours-two-loops": "websession, two event loops",
    "hiredis-naive": "hiredis, one command a round trip",
    "hiredis-pipelined": "hiredis, pipelined",
    "hiredis-guarded": "hiredis, the usual script",
    "poco": "Poco, pool",
    "connect-redis": "connect-redis (Node)",
    "redis-plus-plus": "redis-plus-plus, pool",
    "redis-plus-plus-pipelined": "redis-plus-plus, pipeline",
    "boost-redis": "Boost.Redis",
    "redis": "RedisStore",
    "redis-durable": "RedisStore, appendfsync always",
    "sqlite": "SqliteStore, full",
    "sqlite-normal": "SqliteStore, normal",
    "better-sqlite3-session-store": "better-sqlite3-session-store (Node), full",
    "better-sqlite3-session-store-normal": "better-sqlite3-session-store (Node), normal",
    "postgres": "PostgresStore",
    "postgres-loop": "AsyncPostgresStore, one event loop",
    "connect-pg-simple": "connect-pg-simple (Node)",
}
TRANSPORTS = {
    "tcp": "TCP",
    "unix": "unix socket",
    "delay": "TCP with 0.5 ms of delay",
    "tls": "TLS",
    "durable": "on a disk",
}
# Of what keeps sessions on a disk, who is compared with whom.
DURABLE_PAIRS = (
    ("sqlite", "better-sqlite3-session-store"),
    ("sqlite-normal", "better-sqlite3-session-store-normal"),
    ("postgres", "connect-pg-simple"),
    ("postgres-loop", "connect-pg-simple"),
    ("sqlite", "redis-durable"),
    ("postgres", "redis-durable"),
)
OPERATIONS = ("LOAD", "SAVE", "CYCLE")


class Target(NamedTuple):
    """Ours against a peer: the least ratio of throughput, by number of threads."""

    peer: str
    place: str
    operations: tuple
    least: dict


# The design's promises on speed.
TARGETS = (
    Target("hiredis-naive", "tcp", ("CYCLE",), {1: 1.9, 2: 2, 4: 2, 16: 4, 64: 5.5}),
    Target("hiredis-pipelined", "tcp", ("LOAD",), {1: 0.95, 2: 1, 4: 1, 16: 2, 64: 3}),
    Target("hiredis-pipelined", "tcp", ("CYCLE",), {1: 1, 2: 1, 4: 1, 16: 2, 64: 3}),
    Target("hiredis-pipelined", "tcp", ("SAVE",), {1: 1, 2: 1, 4: 1, 16: 2, 64: 2.5}),
    Target("connect-redis", "tcp", ("CYCLE",), {1: 1, 2: 1, 4: 1, 16: 1, 64: 1}),
    Target("redis-plus-plus", "tcp", ("CYCLE",), {1: 1.9, 2: 2, 4: 2, 16: 4, 64: 6}),
    Target("hiredis-pipelined", "tcp-8", ("SAVE", "CYCLE"), {1: 1, 2: 1, 4: 1.1, 16: 2.5, 64: 3.5}),
    Target("hiredis-pipelined", "delay", ("CYCLE",), {1: 0.95, 2: 0.95, 4: 0.95, 16: 0.95, 64: 1.3}),
)


class MemoryTarget(NamedTuple):
    """MemoryStore against a map of the program memory_bench: the least ratio, by threads."""

    peer: str
    operation: str
    least: dict


MEMORY_TARGETS = (
    MemoryTarget("one mutex, deep copies", "LOAD", {1: 3, 16: 8}),
    MemoryTarget("one mutex, deep copies", "CYCLE", {1: 2, 16: 4}),
)


class CostTarget(NamedTuple):
    """A write's CPU time on the server by that of the cheapest blind one: at most, by the major
    version of Redis."""

    way: str
    most: dict


BLIND_WRITE = "HSET and EXPIRE, blind"
COST_TARGETS = (
    CostTarget("websession", {7: 1.1, 8: 0.8}),
    CostTarget("websession, renewing", {7: 1.5, 8: 1.2}),
)


class Ceiling(NamedTuple):
    """The most that a part may take: `figure` of the benchmark `part`, in `unit`."""

    what: str
    part: str
    figure: str
    most: float
    unit: str
    factor: float = 1


CEILINGS = (
    Ceiling("an id", "id_generate/threads:1", "real_time", 0.1, "µs", 1e-3),
    Ceiling("a session in a MemoryStore of a million", "bytes_a_session<Ours>/iterations:1",
            "bytes_a_session", 550, "bytes"),
    Ceiling("the slowest call while a million sessions expire",
            "worst_call_while_a_million_expire/iterations:1", "worst_us", 1000, "µs"),
    *(Ceiling(f"the slowest {call} but one in a thousand while {store} sweeps a million",
              f"worst_call_while_a_million_are_swept/{store}/iterations:1/repeats:3",
              f"{call}_p999_us", 5000, "µs")
      for store in ("SqliteStore", "PostgresStore") for call in ("load", "update", "create")),
)


class Ratio(NamedTuple):
    """Of paired runs: the median over the rounds, and the extremes."""

    median: float
    least: float
    most: float

    def __str__(self):
        return f"{self.median:.2f}x ({self.least:.2f} to {self.most:.2f})"


def major(version):
    return int(version.split(".")[0])


def throughput(run):
    return run["requests"] / run["seconds"]


def per_request(name):
    """A function that gives a run's total `name` by its requests; None when it is not known."""
    def value(run):
        return None if run[name] is None else run[name] / run["requests"]
    return value


class Figures:
    def __init__(self, data):
        self.data = data
        self.failed = []
        self._cells = {}
        self._parts = {}
        # Where something ran: a transport, on another major version of Redis with its number.
        self.places = {}
        first = major(data["redis"][0].get("redis", "0")) if data["redis"] else None
        for part in data["parts"] + data.get("sweep", []) + data.get("directory", []):
            if part.get("run_type") != "aggregate":
                self._parts.setdefault(part["run_name"], []).append(part)
        for setting in data["redis"]:
            place, label = setting["transport"], TRANSPORTS[setting["transport"]]
            if major(setting.get("redis", "0")) != first:
                place, label = f"{place}-{major(setting['redis'])}", (
                    f"{label}, Redis {setting['redis']}")
            self.places[place] = label
            for run in setting["runs"]:
                cell = (place, run["operation"], run["threads"], run["client"])
                if "error" in run or run["requests"] == 0:
                    self.failed.append((*cell, run.get("error", "no request was completed")))
                else:
                    self._cells.setdefault(cell, {})[run["round"]] = run

    @classmethod
    def read(cls, path):
        with open(path, encoding="utf-8") as file:
            return cls(json.load(file))

    def runs(self, *cell):
        """The runs of (place, operation, threads, client), by round."""
        return self._cells.get(cell, {})

    def median(self, cell, value):
        """Over the runs of a cell; None when there is none, or the value is not known."""
        values = [value(run) for run in self.runs(*cell).values()]
        return median(values) if values and None not in values else None

    def ratio(self, place, operation, threads, peer, of=OURS):
        """Our throughput by the peer's; None when one of them did not run."""
        ours = self.runs(place, operation, threads, of)
        theirs = self.runs(place, operation, threads, peer)
        ratios = [throughput(ours[i]) / throughput(theirs[i]) for i in ours if i in theirs]
        return Ratio(median(ratios), min(ratios), max(ratios)) if ratios else None

    def part(self, name, figure):
        """The median of a benchmark's repetitions; None when it did not run."""
        values = [repetition[figure] for repetition in self._parts.get(name, ())]
        return median(values) if values else None

    def memory_ratio(self, operation, threads, peer):
        """MemoryStore's throughput by a map's; None when one of them did not run."""
        ours, theirs = ([repetition["items_per_second"] for repetition in
                         self._parts.get(f"{operation}/{store}/real_time/threads:{threads}", ())]
                        for store in ("MemoryStore", peer))
        ratios = [one / other for one, other in zip(ours, theirs)]
        return Ratio(median(ratios), min(ratios), max(ratios)) if ratios else None

    def threads(self, place, operation):
        return sorted({cell[2] for cell in self._cells if cell[:2] == (place, operation)})

    def clients(self, place, operation):
        """Those that ran, in the order of LABELS."""
        ran = {cell[3] for cell in self._cells if cell[:2] == (place, operation)}
        return [client for client in LABELS if client in ran]

    def server_costs(self):
        """(version of Redis, writes a batch, {way: microseconds of each round}) of each server."""
        for server in self.data.get("server_costs", ()):
            ways = {}
            for run in server["server_cost"]:
                ways.setdefault(run["way"], []).append(run["us"])
            yield server["redis"], server["batch"], ways

    def not_measured(self):
        """(transport, client, reason) of all that could not run."""
        for setting in self.data["redis"]:
            for client, about in setting["clients"].items():
                if "not_measured" in about:
                    yield setting["transport"], client, about["not_measured"]


def grouped_obstacles(figures):
    """The same, with the transports of one client and reason together."""
    groups = {}
    for transport, client, reason in figures.not_measured():
        # A dictionary for its order; there may be several plans of one transport.
        groups.setdefault((client, reason), {})[TRANSPORTS[transport]] = True
    for (client, reason), transports in groups.items():
        yield LABELS[client], ", ".join(transports), reason


def by_blind(ways, way):
    """A way's cost by that of the blind write, round by round."""
    ratios = [cost / blind for cost, blind in zip(ways[way], ways[BLIND_WRITE])]
    return Ratio(median(ratios), min(ratios), max(ratios))


class Verdict(NamedTuple):
    operation: str
    where: str
    peer: str
    threads: int
    least: float
    ratio: Ratio | None  # none: it could not be measured here


def verdicts(figures):
    """One for every target that was meant to be measured: its place and number of threads were
    run."""
    for target in TARGETS:
        for operation in target.operations:
            for threads in figures.threads(target.place, operation):
                if threads in target.least:
                    yield Verdict(operation, figures.places[target.place], LABELS[target.peer],
                                  threads, target.least[threads],
                                  figures.ratio(target.place, operation, threads, target.peer))
    for target in MEMORY_TARGETS if figures.data["parts"] else ():
        for threads, least in target.least.items():
            yield Verdict(target.operation, "memory", target.peer, threads, least,
                          figures.memory_ratio(target.operation, threads, target.peer))


def ceilings(figures):
    """(Ceiling, what was measured) of all that were."""
    for ceiling in CEILINGS:
        value = figures.part(ceiling.part, ceiling.figure)
        if value is not None:
            yield ceiling, value * ceiling.factor
