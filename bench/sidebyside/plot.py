"""Plots as SVG, written without a library: lines over a logarithmic axis, and groups of bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 200, 40, 50
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b")


def lines(title: str, x_label: str, y_label: str, series: Mapping[str, Sequence[tuple[float, float, float, float]]]) -> str:
    """Each series is points of x, median, least and greatest."""
    points = [point for line in series.values() for point in line]
    x_from, x_to = math.log10(min(point[0] for point in points)), math.log10(max(point[0] for point in points))
    top = nice(max(point[3] for point in points))

    def place(x: float, y: float) -> tuple[float, float]:
        share = (math.log10(x) - x_from) / max(x_to - x_from, 1e-9)
        return LEFT + share * (WIDTH - LEFT - RIGHT), height(y, top)

    parts = frame(title, y_label, top)
    for power in range(round(x_from), round(x_to) + 1):
        x, _ = place(10**power, 0)
        parts.append(text(x, HEIGHT - BOTTOM + 18, f"{10**power:,}", "middle"))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_label, "middle"))
    for number, (name, line) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(point[0], point[1]) for point in line))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, middle, least, greatest in line:
            (left, y), (_, low), (_, high) = place(x, middle), place(x, least), place(x, greatest)
            parts.append(f'<circle cx="{left:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
            parts.append(f'<path d="M{left:.1f} {low:.1f}V{high:.1f}" stroke="{colour}" opacity="0.5"/>')
        parts += key(number, name, colour)
    return wrap(parts)


def bars(title: str, y_label: str, groups: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Each group has a bar per name: its least, median and greatest."""
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    top = nice(max(max(values) for group in groups.values() for values in group.values()))
    parts = frame(title, y_label, top)
    room = (WIDTH - LEFT - RIGHT) / len(groups)
    width = room * 0.8 / len(names)
    for position, (label, group) in enumerate(groups.items()):
        begin = LEFT + position * room + room * 0.1
        parts.append(text(begin + room * 0.4, HEIGHT - BOTTOM + 18, label, "middle"))
        for name, (least, middle, greatest) in group.items():
            number = names.index(name)
            x, y = begin + number * width, height(middle, top)
            colour = COLOURS[number % len(COLOURS)]
            parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width * 0.9:.1f}" height="{HEIGHT - BOTTOM - y:.1f}" fill="{colour}"/>')
            centre = x + width * 0.45
            parts.append(f'<path d="M{centre:.1f} {height(least, top):.1f}V{height(greatest, top):.1f}" stroke="black"/>')
    for number, name in enumerate(names):
        parts += key(number, name, COLOURS[number % len(COLOURS)])
    return wrap(parts)


def nice(value: float) -> float:
    """A round number at or above it."""
    power = 10 ** math.floor(math.log10(value)) if value > 0 else 1
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 8, 10) if step * power >= value * 0.999)


def height(y: float, top: float) -> float:
    """Where a value lies."""
    return HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM)


def frame(title: str, y_label: str, top: float) -> list[str]:
    """Title, axis and its marks."""
    parts = [text(LEFT, 22, title, "start", 15)]
    for step in range(6):
        value = top * step / 5
        y = height(value, top)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(text(LEFT - 8, y + 4, f"{value:,.10g}", "end"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<text transform="translate(16 {middle:.0f}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>')
    return parts


def key(number: int, name: str, colour: str) -> list[str]:
    """One entry of the legend."""
    y = TOP + 20 * number
    left = WIDTH - RIGHT + 12
    return [f'<rect x="{left}" y="{y - 9}" width="12" height="12" fill="{colour}"/>', text(left + 18, y + 2, name, "start")]


def text(x: float, y: float, words: str, anchor: str, size: int = 12) -> str:
    """A piece of text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'


def wrap(parts: Sequence[str]) -> str:
    """The whole file."""
    begin = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
    return "\n".join([begin, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', *parts, "</svg>"]) + "\n"
