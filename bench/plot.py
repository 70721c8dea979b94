"""Bar charts as SVG, with nothing but the standard library."""

from xml.sax.saxutils import escape

from statistics import median

from figures import BLIND_WRITE, LABELS, OPERATIONS, throughput

# Readable on white as on black, and told apart by most people with a colour vision deficiency.
COLOURS = {
    "ours": "#2f7ae5",
    "ours-renewing": "#7fb2f0",
    "hiredis-naive": "#8a929b",
    "hiredis-pipelined": "#d98e1f",
    "hiredis-guarded": "#b0532b",
    "poco": "#2f9e6e",
    "redis-plus-plus": "#2f9e6e",
    "connect-redis": "#c2569b",
}
# Bars of more clients than these cannot be read at a glance. All are in the tables.
CHARTED = ("ours", "hiredis-pipelined", "hiredis-guarded", "redis-plus-plus", "connect-redis")
WAY_COLOURS = {
    BLIND_WRITE: COLOURS["hiredis-pipelined"],
    "the usual script": COLOURS["hiredis-guarded"],
    "websession": COLOURS["ours"],
    "websession, renewing": COLOURS["ours-renewing"],
}
TEXT = "#78828c"
LINE = "#78828c55"

WIDTH, HEIGHT = 860, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 70, 36


def nice_step(top):
    """A step of 1, 2 or 5 times a power of ten that divides 0..top into five at most."""
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            if top / step <= 5:
                return step
        power *= 10


def short(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2g}"


class Chart:
    def __init__(self, title):
        self._title = title
        self._parts = []

    def text(self, x, y, text, size=12, anchor="middle", weight="normal"):
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" '
            f'text-anchor="{anchor}" fill="{TEXT}">{escape(text)}</text>')

    def rectangle(self, x, y, width, height, colour):
        self._parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                           f'height="{height:.1f}" fill="{colour}"/>')

    def line(self, y):
        self._parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{LINE}"/>')

    def svg(self):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
                f'font-family="system-ui, sans-serif" role="img">\n'
                f'<title>{escape(self._title)}</title>\n' + "\n".join(self._parts) + "\n</svg>\n")


def bars(title, groups, series):
    """Groups of bars. `series`: (label, colour, values), a value or None for each group."""
    chart = Chart(title)
    chart.text(LEFT, 20, title, size=14, anchor="start", weight="bold")
    top = max(value for _, _, values in series for value in values if value is not None) * 1.08
    bottom_y = HEIGHT - BOTTOM
    scale = (bottom_y - TOP) / top

    step = nice_step(top)
    for i in range(int(top / step) + 1):
        chart.line(bottom_y - i * step * scale)
        chart.text(LEFT - 6, bottom_y - i * step * scale + 4, f"{i * step:g}", size=11, anchor="end")

    x = LEFT
    for label, colour, _ in series:
        chart.rectangle(x, 34, 11, 11, colour)
        chart.text(x + 16, 44, label, anchor="start")
        x += 30 + 6.4 * len(label)

    group_width = (WIDTH - LEFT - RIGHT) / len(groups)
    bar_width = group_width * 0.86 / len(series)
    for g, group in enumerate(groups):
        left = LEFT + g * group_width + group_width * 0.07
        chart.text(left + group_width * 0.43, HEIGHT - 12, group)
        for s, (_, colour, values) in enumerate(series):
            if values[g] is None:
                continue
            height = values[g] * scale
            chart.rectangle(left + s * bar_width + 1, bottom_y - height, bar_width - 2, height,
                            colour)
            chart.text(left + (s + 0.5) * bar_width, bottom_y - height - 4, short(values[g]),
                       size=10)
    return chart.svg()


def chart_of(figures, place, operation, title, value):
    threads = figures.threads(place, operation)
    series = [(LABELS[client], COLOURS[client],
               [figures.median((place, operation, n, client), value) for n in threads])
              for client in figures.clients(place, operation) if client in CHARTED]
    groups = [f"{n} thread{'s' if n > 1 else ''}" for n in threads]
    return bars(title, groups, series)


def server_cost_chart(figures, title):
    servers = list(figures.server_costs())
    series = [(way, colour, [median(ways[way]) for _, _, ways in servers])
              for way, colour in WAY_COLOURS.items()]
    return bars(title, [f"Redis {version}" for version, _, _ in servers], series)


def charts(figures):
    """(file name, description, SVG) of every chart that there are figures for."""
    for place, where in figures.places.items():
        for operation in reversed(OPERATIONS):
            if not figures.clients(place, operation):
                continue
            title = f"{operation}, {where}: thousand requests a second"
            yield (f"{operation.lower()}-{place}.svg", title,
                   chart_of(figures, place, operation, title,
                            lambda run: throughput(run) / 1000))
    if figures.clients("tcp", "CYCLE"):
        title = "CYCLE, TCP: 99th percentile of latency, ms"
        yield ("cycle-tcp-p99.svg", title,
               chart_of(figures, "tcp", "CYCLE", title, lambda run: run["p99_us"] / 1000))
    if any(figures.server_costs()):
        title = "CPU time of a write on the server, µs"
        yield "server-cost.svg", title, server_cost_chart(figures, title)
