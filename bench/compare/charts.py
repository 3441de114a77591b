#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws the charts of docs/ from the figures of `sh bench/compare.sh --json FILE`.

Usage: charts.py FILE FOLDER. Writes FOLDER/compare-*.svg, one for each kind of case that FILE has.
"""
import html
import json
import math
import os
import re
import sys

WIDTH = 860
COLORS = {
    "mews": "#c2410c",
    "hand-off by hand": "#111827",
    "bare futex rings": "#111827",
    "free list by hand": "#111827",
    "iceoryx": "#2563eb",
    "iceoryx2": "#0891b2",
    "Boost message_queue": "#7c3aed",
    "ZeroMQ": "#be185d",
    "nng": "#a16207",
    "Unix stream socket": "#15803d",
    "Unix packet socket": "#4d7c0f",
    "pipe": "#64748b",
    "pthread mutex, condition": "#0f766e",
    "glibc malloc": "#64748b",
    "mimalloc": "#2563eb",
    "jemalloc": "#15803d",
    "Boost managed segment": "#7c3aed",
    "Boost node_allocator": "#be185d",
}


class Drawing:
    """An SVG that grows downwards. It has a background of its own: pages may be dark."""

    def __init__(self):
        self.parts = []

    def text(self, x, y, text, size=12, anchor="start", weight="normal", fill="#111827"):
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'font-weight="{weight}" fill="{fill}">{html.escape(text)}</text>')

    def bar(self, x, y, width, height, fill):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" '
                          f'height="{height:.1f}" fill="{fill}"/>')

    def line(self, points, stroke, width=1.0, dash=""):
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<polyline points="{joined}" fill="none" stroke="{stroke}" '
                          f'stroke-width="{width}"{dashes}/>')

    def dot(self, x, y, fill):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{fill}"/>')

    def write(self, path, height):
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
                       f'font-family="sans-serif">\n'
                       f'<rect width="{WIDTH}" height="{height:.0f}" fill="#ffffff"/>\n')
            file.write("\n".join(self.parts))
            file.write("\n</svg>\n")


def footer(drawing, y, run, placement):
    lines = [run["command"], f'{run["date"]}, {run["processor"]}, processors: {placement}']
    for i, line in enumerate(lines):
        drawing.text(16, y + 16 * i, line, size=11, fill="#4b5563")
    return y + 16 * len(lines)


def figures_of(case):
    """Pairs of peer and medians: of the case's placement, or of all runs where there is none."""
    for row in case["rows"]:
        medians = row.get(case["placement"], row.get("all"))
        if medians is not None:
            yield row["peer"], medians


def short(value):
    if value == 0:
        return "0"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def draw_bars(path, run, title, cases, key, unit):
    """A group of bars for each case, the best first."""
    drawing = Drawing()
    drawing.text(16, 26, title, size=16, weight="bold")
    y = 52
    for case in cases:
        rows = sorted(figures_of(case), key=lambda row: row[1].get(key, 0),
                      reverse=case["is_more_better"])
        most = max([row[1].get(key, 0) for row in rows] + [1e-9])
        drawing.text(16, y, case["title"], weight="bold")
        y += 10
        for peer, medians in rows:
            value = medians.get(key, 0)
            color = COLORS.get(peer, "#6b7280")
            drawing.text(186, y + 12, peer, anchor="end", weight="bold" if peer == "mews" else "normal")
            drawing.bar(194, y + 1, 520 * value / most, 14, color)
            drawing.text(200 + 520 * value / most, y + 12, f"{short(value)} {unit}")
            y += 19
        y += 24
    end = footer(drawing, y, run, cases[0]["placement"])
    drawing.write(path, end + 4)


def bytes_of(name):
    match = re.search(r"(\d+)(B|KiB|MiB)(/|$)", name)
    return int(match.group(1)) * {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20}[match.group(2)]


def size_text(size):
    for unit, step in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= step:
            return f"{size // step} {unit}"
    return f"{size} B"


def powers(low, high):
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0 ** power for power in range(first, max(last, first + 1) + 1)]


def label_places(ends, least=13):
    """Moves labels apart that would cover each other."""
    places = {}
    last = -1e9
    for peer, y in sorted(ends.items(), key=lambda end: end[1]):
        last = max(y, last + least)
        places[peer] = last
    return places


def draw_lines(path, run, title, cases, key, unit):
    """A line for each peer over the size, both axes logarithmic."""
    lines = {}
    for case in cases:
        for peer, medians in figures_of(case):
            if medians.get(key, 0) > 0:
                lines.setdefault(peer, []).append((bytes_of(case["case"]), medians[key]))
    drawing = Drawing()
    drawing.text(16, 26, title, size=16, weight="bold")
    values = [value for points in lines.values() for _, value in points] or [1.0]
    sizes = sorted({bytes_of(case["case"]) for case in cases})
    marks = powers(min(values), max(values))
    left, right, top, bottom = 70, WIDTH - 190, 50, 450
    span = math.log(sizes[-1] / sizes[0]) or 1.0

    def x_of(size):
        return left + (right - left) * math.log(size / sizes[0]) / span

    def y_of(value):
        share = math.log(value / marks[0]) / math.log(marks[-1] / marks[0])
        return bottom - (bottom - top) * share

    for mark in marks:
        drawing.line([(left, y_of(mark)), (right, y_of(mark))], "#e5e7eb")
        drawing.text(left - 6, y_of(mark) + 4, f"{mark:g}", anchor="end")
    drawing.text(left - 6, top - 10, unit, anchor="end", fill="#4b5563")
    for size in sizes:
        drawing.line([(x_of(size), top), (x_of(size), bottom)], "#f3f4f6")
        # 10 and 16 MiB are too near for two labels.
        if size != 10 << 20:
            drawing.text(x_of(size), bottom + 18, size_text(size), anchor="middle")
    for peer, points in sorted(lines.items(), key=lambda line: line[0] == "mews"):
        color = COLORS.get(peer, "#6b7280")
        placed = [(x_of(size), y_of(value)) for size, value in sorted(points)]
        is_limit = peer.endswith("by hand") or peer == "bare futex rings"
        drawing.line(placed, color, 3 if peer == "mews" else 1.5, "5 4" if is_limit else "")
        for x, y in placed:
            drawing.dot(x, y, color)
    lasts = {peer: max(points) for peer, points in lines.items()}
    ends = {peer: y_of(value) for peer, (size, value) in lasts.items() if size == sizes[-1]}
    for peer, y in label_places(ends).items():
        drawing.text(right + 12, y + 4, peer, fill=COLORS.get(peer, "#6b7280"),
                     weight="bold" if peer == "mews" else "normal")
    for peer, (size, value) in lasts.items():
        if peer not in ends:  # it ends where it can do no more
            drawing.text(x_of(size) + 8, y_of(value) - 4, peer, fill=COLORS.get(peer, "#6b7280"))
    end = footer(drawing, bottom + 46, run, cases[0]["placement"])
    drawing.write(path, end + 4)


CHARTS = [
    # name, pattern of the cases, title, column, unit, how
    ("clients", r"^clients/17/", "17 clients, thousand requests a second (more is better)",
     "thousand_per_second", "k/s", draw_bars),
    ("paced", r"^paced/asleep$", "CPU time of a paced message (less is better)",
     "cpu_us_each", "us", draw_bars),
    ("echo", r"^echo/[^/]*/spin/all$",
     "There and back, every byte written and read, spinning: median (less is better)",
     "p50_us", "us", draw_lines),
    ("echo-tail", r"^echo/[^/]*/spin/header$",
     "There and back, header only, spinning: p99.9 from the first message on (less is better)",
     "p999_us", "us", draw_lines),
    ("echo-default", r"^echo/[^/]*/default/all$",
     "There and back, every byte, default options: median (less is better)",
     "p50_us", "us", draw_lines),
    ("stream", r"^stream/[^/]*/spin/all$",
     "One way, every byte written and read, spinning (more is better)",
     "gb_per_second", "GB/s", draw_lines),
    ("allocator", r"^allocator/alone/",
     "Claimed and released by one thread (less is better)", "ns_each", "ns", draw_lines),
    ("allocator-elsewhere", r"^allocator/elsewhere/",
     "Claimed here, released there (less is better)", "ns_each", "ns", draw_lines),
]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    with open(sys.argv[1], encoding="utf-8") as file:
        run = json.load(file)
    for name, pattern, title, key, unit, draw in CHARTS:
        cases = [case for case in run["cases"]
                 if re.search(pattern, case["case"]) and any(figures_of(case))]
        if cases:
            path = os.path.join(sys.argv[2], f"compare-{name}.svg")
            draw(path, run, title, cases, key, unit)
            print(path)


if __name__ == "__main__":
    main()
