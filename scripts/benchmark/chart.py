"""Draws the rates of a run as bars, one pair for each load. SVG written by hand; knows no server."""

from statistics import median

from benchmark.report import OURS, PEERS, Run, ratio
from benchmark.workload import LONG, SHORT, STREAMED

_LOADS = (SHORT, LONG, STREAMED)
_COLOURS = {OURS: "#c2410c", PEERS: "#94a3b8"}
_WIDTH, _LEFT, _BAR, _GROUP, _TOP = 760, 120, 22, 92, 56
_LONGEST = 440


def render(run: Run) -> str:
    """Each load has its own scale: the longer bar of a pair is full."""
    height = _TOP + _GROUP * len(_LOADS)
    groups = "\n".join(_group(run, number) for number in range(len(_LOADS)))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"
 width="{_WIDTH}" height="{height}" font-family="system-ui, sans-serif" font-size="13" fill="#475569">
<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>
<text x="20" y="28" font-size="15" font-weight="600">Requests per second on the same engine</text>
{groups}
</svg>
"""


def _group(run: Run, number: int) -> str:
    load, top = _LOADS[number], _TOP + _GROUP * number
    rates = {server: [sample.requests_per_s for sample in run.of(server, load)] for server in (OURS, PEERS)}
    middle = {server: median(values) for server, values in rates.items()}
    lines = [f'<text x="20" y="{top + 12}" font-weight="600">{load.title}</text>']
    for place, server in enumerate((OURS, PEERS)):
        y = top + 20 + place * (_BAR + 3)
        length = _LONGEST * middle[server] / max(middle.values())
        note = f" ({ratio(rates[OURS], rates[PEERS])} times)" if server == OURS else ""
        colour = _COLOURS[server]
        lines += [
            f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end">{server}</text>',
            f'<rect x="{_LEFT}" y="{y}" width="{length:.0f}" height="{_BAR}" rx="3" fill="{colour}"/>',
            f'<text x="{_LEFT + length + 8:.0f}" y="{y + 15}">{middle[server]:.1f}{note}</text>',
        ]
    return "\n".join(lines)
