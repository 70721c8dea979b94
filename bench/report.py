#!/usr/bin/env python3
"""Puts together what the benchmarks measured, and makes tables and plots of it.

    report.py collect OUT [--quick] FILE...   the JSON files of the programs into one
    report.py table RESULTS                   the ratios, for a terminal
    report.py page RESULTS PAGE FOLDER        the tables in PAGE, the plots in FOLDER beside it
"""

import datetime
import json
import os
import pathlib
import re
import subprocess
import sys

from statistics import median

from figures import (BLIND_WRITE, COST_TARGETS, DURABLE_PAIRS, LABELS, OPERATIONS, OUR_LOOP, OURS, TRANSPORTS,
                     Figures, by_blind, ceilings, grouped_obstacles, major, per_request,
                     throughput, verdicts)
from plot import charts

ROOT = pathlib.Path(__file__).resolve().parent.parent


# collect

def output_of(*words):
    try:
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def first_match(pattern, path):
    try:
        found = re.search(pattern, pathlib.Path(path).read_text(encoding="utf-8"), re.M)
    except OSError:
        return None
    return found[1] if found else None


def machine():
    """What the figures depend on; nothing that tells one machine from its twins."""
    return {
        "processor": first_match(r"^model name\s*: (.*)$", "/proc/cpuinfo"),
        "cores": len(os.sched_getaffinity(0)),
        "system": first_match(r'^PRETTY_NAME="(.*)"$', "/etc/os-release"),
        "kernel": first_match(r"^(\d+\.\d+)", "/proc/sys/kernel/osrelease"),
        "compiler": output_of("c++", "--version").split("\n")[0],
    }


def revision():
    changed = output_of("git", "status", "--porcelain", "--untracked-files=no", "src", "include")
    return output_of("git", "rev-parse", "--short", "HEAD").strip() + ("+" if changed else "")


def numbers(version):
    return [int(number) for number in version.split(".")]


def collect(out, quick, paths):
    """What none of the files renews, the side-by-side runs or the parts, stays as it was."""
    out = pathlib.Path(out)
    here = machine()
    data = {"quick": quick, "machine": here, "redis": [], "loops": [], "durable": [], "sweep": [],
            "directory": [], "server_costs": [], "parts": []}
    for path in paths:
        content = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        if pathlib.Path(path).stem == "loops":
            data["loops"].append(content)
        elif content.get("transport") == "durable":
            data["durable"].append(content)
        elif "transport" in content:
            data["redis"].append(content)
        elif "server_cost" in content:
            data["server_costs"].append(content)
        else:  # Google Benchmark's; its context names the host, so it is left out
            stem = pathlib.Path(path).stem
            section = stem if stem in ("sweep", "directory") else "parts"
            data[section] += content["benchmarks"]
    # The order of the tables; what else is said of a client stands in the first.
    data["redis"].sort(key=lambda setting: (list(TRANSPORTS).index(setting["transport"]),
                                            numbers(setting["redis"])))
    data["durable"].sort(key=lambda setting: setting["sessions"])
    data["server_costs"].sort(key=lambda server: numbers(server["redis"]))
    before = json.loads(out.read_text(encoding="utf-8")) if out.exists() and not quick else {}
    now = {"date": datetime.date.today().isoformat(), "revision": revision(),
           "processor": here["processor"]}
    data["measured"] = {}
    for section in ("redis", "loops", "durable", "sweep", "directory", "server_costs", "parts"):
        if data[section]:
            data["measured"][section] = now
        elif before.get(section):
            data[section] = before[section]
            data["measured"][section] = before["measured"][section]
    if before and data["redis"] == before.get("redis"):
        data["machine"] = before["machine"]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(one_line_a_run(data), encoding="utf-8")


def one_line_a_run(data):
    """As JSON. The runs are many; each on one line keeps the file readable, and its diffs."""
    lines = []

    def fold(item):
        lines.append(json.dumps(item))
        return f"@line {len(lines) - 1}"

    folded = dict(data, parts=[fold(part) for part in data["parts"]],
                  sweep=[fold(part) for part in data["sweep"]],
                  directory=[fold(part) for part in data["directory"]],
                  redis=[dict(setting, runs=[fold(run) for run in setting["runs"]])
                         for setting in data["redis"]],
                  loops=[dict(setting, runs=[fold(run) for run in setting["runs"]])
                         for setting in data["loops"]],
                  durable=[dict(setting, runs=[fold(run) for run in setting["runs"]])
                           for setting in data["durable"]],
                  server_costs=[dict(server, server_cost=[fold(run) for run in
                                                          server["server_cost"]])
                                for server in data["server_costs"]])
    return re.sub(r'"@line (\d+)"', lambda match: lines[int(match[1])],
                  json.dumps(folded, indent=1)) + "\n"


# table

def plain(rows):
    """Rows of texts in columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip()


def verdict_rows(figures):
    for operation, where, peer, threads, least, ratio in verdicts(figures):
        reached = ratio and ("met" if ratio.median >= least else "NOT met")
        yield (operation, where, peer, str(threads), f"{least:.2f}x",
               str(ratio) if ratio else "–", reached or "not measured here")


def ceiling_rows(figures):
    for ceiling, value in ceilings(figures):
        yield (ceiling.what, f"{ceiling.most:,g} {ceiling.unit}", f"{value:,.3g} {ceiling.unit}",
               "met" if value <= ceiling.most else "NOT met")


def server_cost_rows(figures):
    for version, batch, ways in figures.server_costs():
        most = {target.way: target.most.get(major(version)) for target in COST_TARGETS}
        for way, costs in ways.items():
            ratio = by_blind(ways, way)
            limit = most.get(way)
            yield (f"Redis {version}", way, f"{median(costs):.2f}",
                   "" if way == BLIND_WRITE else str(ratio), f"{limit:.2f}x" if limit else "",
                   "" if not limit else "met" if ratio.median <= limit else "NOT met")


COST_HEADER = ("", "a write", "µs", "by the blind one (range)", "at most", "")
CEILING_HEADER = ("", "at most", "measured", "")
VERDICT_HEADER = ("", "over", "websession against", "threads", "at least", "ratio (range)", "")


def ratio_rows(figures):
    """Those without a target."""
    targets = {verdict[:4] for verdict in verdicts(figures)}
    for place, where in figures.places.items():
        for operation in OPERATIONS:
            for peer in figures.clients(place, operation):
                for threads in figures.threads(place, operation):
                    ratio = figures.ratio(place, operation, threads, peer)
                    if peer != OURS and ratio and (operation, where, LABELS[peer],
                                                   threads) not in targets:
                        yield operation, where, LABELS[peer], str(threads), str(ratio)


def table(figures):
    rows = list(verdict_rows(figures))
    if rows:
        print("Throughput, paired run by run: median ratio, and its range\n")
        print("\n".join(plain([VERDICT_HEADER, *rows])))
    costs = list(server_cost_rows(figures))
    if costs:
        print("\nThe server's CPU time\n")
        print("\n".join(plain([COST_HEADER, *costs])))
    limits = list(ceiling_rows(figures))
    if limits:
        print()
        print("\n".join(plain([CEILING_HEADER, *limits])))
    others = list(ratio_rows(figures))
    if others:
        print("\nWithout a target\n")
        print("\n".join(plain(others)))
    print()
    for client, transports, reason in grouped_obstacles(figures):
        print(f"not measured here: {client} ({transports}): {reason}")
    for place, operation, threads, client, error in figures.failed:
        print(f"FAILED: {client}, {operation}, {threads} threads, {place}: {error}")
    judged = [row[-1] for row in (*rows, *costs, *limits)]
    missed = judged.count("NOT met")
    measured = missed + judged.count("met")
    print(f"{measured - missed} of {measured} measured targets are met.")


# page

def markdown(header, rows, left=1):
    """`left`: the number of columns before those of numbers."""
    yield "| " + " | ".join(header) + " |"
    yield "|" + "|".join(["---"] * left + ["---:"] * (len(header) - left)) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def number(value, digits=2):
    return "–" if value is None else f"{value:,.{digits}f}"


def throughput_section(figures):
    for place, where in figures.places.items():
        for operation in OPERATIONS:
            clients = figures.clients(place, operation)
            if not clients:
                continue
            threads = figures.threads(place, operation)
            yield f"\n**{operation}, {where}**: requests a second; p50 / p99 in µs\n"
            header = ["", *(f"{n} thread{'s' if n > 1 else ''}" for n in threads)]
            yield from markdown(header, ([LABELS[client]] + [
                latency_cell(figures, (place, operation, n, client)) for n in threads
            ] for client in clients))


def latency_cell(figures, cell):
    p50, p99 = (figures.median(cell, lambda run, name=name: run[name])
                for name in ("p50_us", "p99_us"))
    return (f"{number(figures.median(cell, throughput), 0)}<br>"
            f"{number(p50, 0)} / {number(p99, 0)}")


COSTS = (  # header, total of a run, factor, digits
    ("CPU client, µs", "client_cpu_seconds", 1e6, 1),
    ("CPU server, µs", "server_cpu_seconds", 1e6, 1),
    ("writes", "client_writes", 1, 3),
    ("reads", "client_reads", 1, 3),
    ("waits", "client_waits", 1, 3),
    ("yields", "client_yields", 1, 3),
    ("sleeps", "client_context_switches", 1, 3),
    ("allocations", "client_allocations", 1, 1),
    ("server reads", "server_reads", 1, 3),
    ("server writes", "server_writes", 1, 3),
)


def over_tcp(figures):
    """(place, its label, operation) of what ran over plain TCP, on every server."""
    for place, where in figures.places.items():
        for operation in OPERATIONS if place.startswith("tcp") else ():
            if figures.clients(place, operation):
                yield place, where, operation


def cost_section(figures):
    for place, where, operation in over_tcp(figures):
        rows = []
        for threads in figures.threads(place, operation):
            for client in figures.clients(place, operation):
                cell = (place, operation, threads, client)
                values = [figures.median(cell, per_request(name)) for _, name, _, _ in COSTS]
                rows.append([LABELS[client], str(threads)] + [
                    number(None if value is None else value * factor, digits)
                    for value, (_, _, factor, digits) in zip(values, COSTS)])
        yield f"\n**{operation}, {where}**, a request\n"
        yield from markdown(["", "threads", *(cost[0] for cost in COSTS)], rows)


def commands_a_request(run):
    return {name: calls / run["requests"] for name, calls in run["commands"].items()}


def thousand_section(figures):
    """The cost per 1,000 requests, at the most threads that ran."""
    for place, where, operation in over_tcp(figures):
        threads = figures.threads(place, operation)[-1]
        rows = []
        for client in figures.clients(place, operation):
            cell = (place, operation, threads, client)
            counts = [figures.median(cell, per_request(name)) for name in
                      ("server_bytes_in", "server_bytes_out", "client_writes", "server_writes")]
            commands = commands_a_request(next(iter(figures.runs(*cell).values()), None))
            rows.append([LABELS[client],
                         ", ".join(f"{name} {calls:.2g}" for name, calls in sorted(commands.items())
                                   if calls >= 0.001),
                         number(1000 * sum(commands.values()), 0),
                         *(number(1000 * count, 0) for count in counts)])
        yield f"\n**1,000 times {operation}**, {where}, {threads} threads\n"
        yield from markdown(["", "commands a request", "commands", "bytes to Redis",
                             "bytes from Redis", "writes of the client",
                             "writes of the server"], rows, left=2)


def is_one_of_several(part):
    return part.get("run_type") == "iteration" and part.get("repetitions", 1) > 1


def parts_section(figures):
    rows = []
    for part in sorted(figures.data["parts"], key=lambda part: part["run_name"]):
        if part.get("aggregate_name", "median") != "median" or is_one_of_several(part):
            continue
        known = {"name", "real_time", "cpu_time", "items_per_second", "iterations", "threads",
                 "repetitions", "repetition_index", "family_index", "per_family_instance_index"}
        counters = ", ".join(f"{name} {value:,.4g}" for name, value in part.items()
                             if name not in known and isinstance(value, (int, float)))
        rate = part.get("items_per_second")
        rows.append([f"`{part['run_name']}`", f"{part['real_time']:,.1f} {part['time_unit']}",
                     number(rate and rate / 1e6), counters])
    if rows:
        yield from markdown(["", "time", "million a second", "counters"], rows)


def machine_section(figures):
    data = figures.data
    about = data["machine"]
    yield (f"{about['processor']}, {about['cores']} cores which clients and server share, "
           f"{about['system']}, kernel {about['kernel']}, {about['compiler']}, "
           f"Redis {data['redis'][0]['redis']} where no other is named.")
    yield ""
    for section, what in (("redis", "Side by side"), ("server_costs", "Writes on the server"),
                          ("loops", "On event loops"), ("durable", "On a disk"),
                          ("parts", "The parts")):
        if section in data["measured"]:
            measured = data["measured"][section]
            processor = measured.get("processor", about["processor"])
            elsewhere = f", on {processor}" if processor != about["processor"] else ""
            yield f"- {what}: {measured['date']}, revision {measured['revision']}{elsewhere}"
    for setting in data["redis"] + data.get("loops", []):
        if setting["runs"]:
            yield (f"- {TRANSPORTS[setting['transport']]}, Redis {setting['redis']}: {setting['rounds']} rounds of "
                   f"{setting['seconds']:g} s a client, {setting['sessions']:,} sessions")


def clients_section(figures):
    about = figures.data["redis"][0]["clients"]
    yield from markdown(["client", "version", "how"],
                        ([LABELS[client], entry["version"], entry["how"]]
                         for client, entry in about.items() if entry["how"]), left=3)


def loop_ratio_rows(figures):
    for place in figures.places:
        for operation in OPERATIONS:
            for peer in figures.clients(place, operation):
                ratios = [figures.ratio(place, operation, threads, peer, of=OUR_LOOP)
                          for threads in figures.threads(place, operation)]
                if peer != OUR_LOOP and any(ratios):
                    yield [operation, LABELS[peer], *(str(ratio) if ratio else "–"
                                                      for ratio in ratios)]


def loops_section(data):
    """As many requests in flight as the others have threads."""
    if not data.get("loops"):
        return
    figures = Figures(dict(data, redis=data["loops"], parts=[]))
    threads = figures.threads("tcp", "CYCLE")
    yield "One event loop by the others: median ratio of throughput, and its range\n"
    yield from markdown(["", "one event loop by", *(f"{n} in flight" for n in threads)],
                        loop_ratio_rows(figures), left=2)
    yield from throughput_section(figures)
    yield from cost_section(figures)


def durable_section(data):
    if not data.get("durable"):
        return
    yield from markdown(["", "version", "how"],
                        ([LABELS[client], entry["version"], entry["how"]]
                         for client, entry in data["durable"][0]["clients"].items()), left=3)
    for setting in data["durable"]:
        figures = Figures(dict(data, redis=[setting], parts=[]))
        threads = figures.threads("durable", "CYCLE")
        yield (f"\n### {setting['sessions']:,} sessions\n\n"
               f"{setting['rounds']} rounds of {setting['seconds']:g} s a client. "
               "Median ratio of throughput, and its range:\n")
        yield from markdown(["", "", "by", *(f"{n} thread{'s' if n > 1 else ''}" for n in threads)],
                            durable_ratio_rows(figures, threads), left=3)
        yield from throughput_section(figures)


CALLS = ("load", "update", "create")


def sweep_section(figures):
    """Per call: median, one in a thousand, slowest; in quiet, and while a million are removed."""
    for store in ("SqliteStore", "PostgresStore"):
        name = f"worst_call_while_a_million_are_swept/{store}/iterations:1/repeats:3"
        if figures.part(name, "swept") is None:
            continue
        yield (f"\n**{store}**: {figures.part(name, 'swept_a_second'):,.0f} rows removed a second, "
               f"{figures.part(name, 'bytes_a_session'):,.0f} bytes a session on the disk; µs\n")
        yield from markdown(
            ["", "quiet: median", "99.9 %", "slowest", "sweeping: median", "99.9 %", "slowest"],
            ([call] + [number(figures.part(name, f"{when}{call}_{which}_us"), 0)
                       for when in ("quiet_", "") for which in ("median", "p999", "worst")]
             for call in CALLS))


def directory_section(figures):
    """A million sessions in Redis: all pages, what a visitor notices, and the tool."""
    def of(name):
        run = f"{name}/iterations:1/repeats:5"
        return lambda figure: figures.part(run, figure)

    walk = of("all_pages_of_a_million")
    if walk("seconds") is None:
        return
    yield (f"All keys, {walk('pages'):,.0f} pages of some {walk('keys') / walk('pages'):,.0f}, take {walk('seconds'):.1f} s; the "
           f"longest page {walk('longest_page_us') / 1000:.1f} ms. `count()` takes "
           f"{walk('count_us') / 1000:.1f} ms, and is off by {walk('count_off_by_percent'):+.1f} %.\n")
    yield from markdown(
        ["LOAD of a visitor meanwhile, µs", "median", "99.9 %", "slowest"],
        ([label] + [number(walk(f"{when}load_{which}_us"), 0)
                    for which in ("median", "p999", "worst")]
         for label, when in (("in quiet", "quiet_"), ("while all pages are read", ""))))
    yield ""
    yield from markdown(
        ["`websession-admin`", "seconds", "MiB at most"],
        ([f"`{command}`", number(of(name)("seconds"), 2), number(of(name)("memory_max_mib"), 0)]
         for command, name in (("count", "websession_admin/count"),
                               ("count --exact", "websession_admin/count_exact"),
                               ("list", "websession_admin/list"))))


def durable_ratio_rows(figures, threads):
    for operation in OPERATIONS:
        for one, other in DURABLE_PAIRS:
            ratios = [figures.ratio("durable", operation, n, other, of=one) for n in threads]
            if any(ratios):
                yield [operation, LABELS[one], LABELS[other],
                       *(str(ratio) if ratio else "–" for ratio in ratios)]


def sections(figures, folder):
    yield "machine", machine_section(figures)
    yield "clients", clients_section(figures)
    yield "ratios", markdown(VERDICT_HEADER, verdict_rows(figures), left=3)
    yield "server cost", markdown(COST_HEADER, server_cost_rows(figures), left=2)
    yield "ceilings", markdown(CEILING_HEADER, ceiling_rows(figures))
    yield "other ratios", markdown(VERDICT_HEADER[:4] + ("ratio (range)",), ratio_rows(figures),
                                   left=3)
    yield "throughput", throughput_section(figures)
    yield "loops", loops_section(figures.data)
    yield "durable", durable_section(figures.data)
    yield "sweep", sweep_section(figures)
    yield "directory", directory_section(figures)
    yield "plots", (f"![{title}]({folder.name}/{name})\n" for name, title, _ in charts(figures))
    yield "costs", cost_section(figures)
    yield "thousand", thousand_section(figures)
    yield "parts", parts_section(figures)
    yield "not measured", [*(f"- {client} ({transports}): {reason}"
                             for client, transports, reason in grouped_obstacles(figures)),
                           *(f"- failed: {failure}" for failure in figures.failed)]


def page(figures, path, folder):
    text = path.read_text(encoding="utf-8")
    for name, lines in sections(figures, folder):
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.S)
        body = "\n".join(lines)
        text, count = pattern.subn(lambda match: f"{match[1]}{body}\n{match[2]}", text)
        if count != 1:
            sys.exit(f"{path} has no place for: {name}")
    path.write_text(text, encoding="utf-8")
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for name, _, svg in charts(figures):
        (folder / name).write_text(svg, encoding="utf-8")


def main(words):
    match words:
        case ["collect", out, "--quick", *paths]:
            collect(out, True, paths)
        case ["collect", out, *paths]:
            collect(out, False, paths)
        case ["table", results]:
            table(Figures.read(results))
        case ["page", results, path, folder]:
            page(Figures.read(results), pathlib.Path(path), pathlib.Path(folder))
        case _:
            sys.exit(__doc__)


main(sys.argv[1:])
