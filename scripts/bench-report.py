"""What scripts/bench has measured, as a table in Markdown and as JSON.

usage: bench-report.py FOLDER [--write DOCUMENT]

FOLDER holds criterion's results (criterion/), hyperfine's (processes.tsv and the files it names), memory.tsv and
jpki.json. A criterion group is one row, "TABLE: NAME": its function "jpkise" is the figure, "floor: WHAT" the least it
can cost, any other stands beside it. Medians throughout. With --write the tables replace what stands between the two
marks in DOCUMENT.
"""

import datetime
import json
import os
import pathlib
import sys

BEGIN, END = "<!-- scripts/bench: begin -->", "<!-- scripts/bench: end -->"
FLOOR = "floor: "

# What is to be reached and what the best tool at hand took, on a machine of the same kind but not in the same run. Rows
# are named by their beginning, "TABLE: NAME"; behind a bar the function that is meant, if not the figure itself.
BUDGETS = [
    ("SCP03 wrap, 223 bytes, level 33", ["SCP03: wrap 223 bytes, level 33, AES-128"], "0.8 µs", "scll 1.0.5: 1.5 µs"),
    ("list a card through pcscd, process start included", ["whole process: gp list"], "30 ms", "gp 26.02: 0.38–0.49 s"),
    ("load a CAP through pcscd, process start included", ["whole process: gp load"],
     "80 ms (13 KB)", "gp 26.02: 0.38–0.48 s (13 KB)"),
    ("APDU through pcscd and vpcd", ["through pcscd and vpcd: GET DATA 66"],
     "80 µs", "61–82 µs with TCP_QUICKACK, 44 ms without"),
    ("class files to CAP: 2 classes / JPKI applet", ["whole process: cap build, 2", "whole process: cap build, JPKI"],
     "25 ms / 120 ms (48 classes)", "Oracle 25.1: 0.66 s / 3.1 s (48 classes)"),
    ("process start to first APDU", ["whole process: process start to first APDU"], "15 ms", "jCardSim 240 ms"),
    ("a further card in the process", ["simulated card: a further personalised card"], "1 ms", "jCardSim: above"),
    ("trivial command, warm, no card manager", ["simulated card: GET DATA DF30|virtual machine alone"],
     "2 µs", "jCardSim 0.6 µs (JIT)"),
    ("RSA-2048 signature / key generation on the card",
     ["simulated card: COMPUTE DIGITAL SIGNATURE", "simulated card: GENERATE"], "0.6 ms / 120 ms", "jCardSim: above"),
]


def time(ns):
    """Three digits and a unit."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{digits(ns / size)} {unit}"
    return f"{digits(ns)} ns"


def digits(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def rate(throughput, ns):
    """What is done in a second, where a benchmark says what it does."""
    if not throughput:
        return ""
    (kind, amount), = throughput.items()
    per_second = amount * 1e9 / ns
    if kind == "Bytes":
        return f"{digits(per_second / 1e6)} MB/s"
    return f"{per_second:,.0f}/s" if per_second >= 100 else f"{digits(per_second)}/s"


def processes(folder):
    """Rows of hyperfine; their floors are still names."""
    for line in (folder / "processes.tsv").read_text().splitlines():
        file, name, floor = line.split("\t")
        result = json.loads((folder / file).read_text())["results"][0]
        median, low, high = (result[key] * 1e9 for key in ("median", "min", "max"))
        yield {"table": "whole process", "name": name, "ns": median, "range_ns": [low, high], "floor": floor or None}


def criterion(folder):
    """Rows of criterion, in the order in which they were measured."""
    groups = {}
    for file in sorted((folder / "criterion").glob("*/*/new/benchmark.json"), key=lambda f: f.stat().st_mtime_ns):
        about = json.loads(file.read_text())
        median = json.loads(file.with_name("estimates.json").read_text())["median"]
        groups.setdefault(about["group_id"], {})[about["function_id"]] = (about, median)
    for group, functions in groups.items():
        table, name = group.split(": ", 1)
        row = {"table": table, "name": name, "floor": None, "beside": []}
        for function, (about, median) in functions.items():
            ns, interval = median["point_estimate"], median["confidence_interval"]
            if function.startswith(FLOOR):
                row["floor"] = {"what": function.removeprefix(FLOOR), "ns": ns}
            elif "ns" in row and function != "jpkise":
                row["beside"].append({"what": function, "ns": ns})
            else:
                row |= {"ns": ns, "range_ns": [interval["lower_bound"], interval["upper_bound"]],
                        "of": function, "rate": rate(about["throughput"], ns)}
        yield row


def resolve(rows):
    """Puts the floor itself where a whole process names it."""
    named = {row["name"]: row for row in rows}
    grouped = {f"{row['table']}: {row['name']}": row for row in rows}
    for row in rows:
        floor = row["floor"]
        if isinstance(floor, str):
            if " x " in floor:
                times, group = floor.split(" x ", 1)
                least = grouped[group]
                what = f"{times} × {least['name']}, {least['floor']['what']}"
                row["floor"] = {"what": what, "ns": int(times) * least["floor"]["ns"]}
            else:
                row["floor"] = {"what": floor, "ns": named[floor]["ns"]}
        if row["floor"]:
            row["times_floor"] = round(row["ns"] / row["floor"]["ns"], 2)


def sizes(folder):
    """Figures that are no times: memory of the simulated card, and what makes up the applet's CAP."""
    for line in (folder / "memory.tsv").read_text().splitlines():
        name, figure, against = line.split("\t")
        yield {"table": "simulated card, memory", "name": name, "figure": figure, "budget": against}
    cap = json.loads((folder / "jpki.json").read_text())
    for component in cap["components"]:
        yield {"table": "component of jpki.cap", "name": component["name"], "figure": f"{component['size']} bytes"}
    yield {"table": "component of jpki.cap", "name": "**loaded**", "figure": f"{cap['load_size']} bytes"}


def machine(folder):
    cpu = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%F"),
        "cpu": cpu[0] if cpu else os.uname().machine,
        "cores": os.cpu_count(),
        "system": f"{os.uname().sysname} {os.uname().release.split('-')[0]}",
        "load_before": (folder / "load").read_text().split(),
    }


def cells(row):
    low, high = (digits(ns / scale(row["ns"])) for ns in row["range_ns"])
    floor = row["floor"]
    least = f"{time(floor['ns'])}, {floor['what']}" if floor else ""
    times = digits(row["times_floor"]) if floor else ""
    beside = ", ".join(f"{other['what']} {time(other['ns'])}" for other in row.get("beside", []))
    figure = time(row["ns"])
    name = row["name"] if row.get("of") in (None, "jpkise") else f"{row['name']} ({row['of']})"
    return [name, figure, f"{low}–{high}", row.get("rate", ""), least, times, beside]


def scale(ns):
    return next((size for size in (1e9, 1e6, 1e3) if ns >= size), 1)


def table(title, rows):
    """One table; columns that no row fills are left out."""
    if "ns" in rows[0]:
        span = "least–most" if title == "whole process" else "95 %"
        heads, lines = [title, "median", span, "rate", "floor", "× floor", "beside it"], [cells(row) for row in rows]
    else:
        heads, lines = [title, "", "budget"], [[row["name"], row["figure"], row.get("budget", "")] for row in rows]
    used = [at for at in range(len(heads)) if at < 2 or any(line[at] for line in lines)]

    def pick(line):
        return "| " + " | ".join(line[at] for at in used) + " |"

    return "\n".join([pick(heads), "|" + "---|" * len(used), *map(pick, lines)])


def report(about, rows):
    load = ", ".join(about["load_before"])
    head = f"{about['date']}, {about['cpu']}, {about['cores']} cores, {about['system']}; load average before: {load}."
    tables = {}
    for row in rows:
        tables.setdefault(row["table"], []).append(row)
    parts = [head, *(table(title, group) for title, group in tables.items()), "\n".join(budgets(rows))]
    return "\n\n".join(parts) + "\n"


def budgets(rows):
    """The times that have a budget, next to it."""
    def figure(key):
        key, _, function = key.partition("|")
        row = next(row for row in rows if f"{row['table']}: {row['name']}".startswith(key) and "ns" in row)
        found = [other["ns"] for other in row.get("beside", []) if other["what"] == function]
        return time(found[0] if function else row["ns"])

    yield "| budget | here | to reach | best elsewhere |\n|---|---|---|---|"
    for what, keys, reach, elsewhere in BUDGETS:
        yield f"| {what} | {' / '.join(map(figure, keys))} | {reach} | {elsewhere} |"


def write(document, text):
    """Between the two marks of the document."""
    old = document.read_text(encoding="utf-8")
    before, found, rest = old.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        sys.exit(f"error: {document} has no lines {BEGIN} and {END}")
    document.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


def main(arguments):
    folder = pathlib.Path(arguments[0])
    about = machine(folder)
    rows = [*processes(folder), *criterion(folder)]
    resolve(rows)
    rows += sizes(folder)
    text = report(about, rows)
    (folder / "bench.md").write_text(text, encoding="utf-8")
    content = {"schema": "jpkise-bench/2", "machine": about, "rows": rows}
    (folder / "bench.json").write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(text, end="")
    if arguments[1:2] == ["--write"]:
        write(pathlib.Path(arguments[2]), text)


if __name__ == "__main__":
    main(sys.argv[1:])
