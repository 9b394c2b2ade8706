"""Draws what each model held over time, with the budget and the evictions. SVG written by hand; knows no server."""

from collections.abc import Sequence
from itertools import accumulate

from hammering.judging import Verdict, mib
from hammering.memory import Sample

_COLOURS = ("#c2410c", "#0f766e", "#7c3aed", "#ca8a04", "#2563eb", "#64748b")
_WIDTH, _LEFT, _RIGHT, _TOP, _PLOT, _BOTTOM = 960, 64, 16, 88, 260, 44
_MOST_POINTS = 600
_MARK, _MOST_ROWS = 7, 3
_STEPS_MIB = (50, 100, 200, 250, 500, 1000, 2000)
_STEPS_S = (5, 10, 30, 60, 120)


def render(title: str, verdict: Verdict) -> str:
    height = _TOP + _PLOT + _BOTTOM
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"
 width="{_WIDTH}" height="{height}" font-family="system-ui, sans-serif" font-size="12" fill="#475569">
<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>
{_panel(title, verdict)}
</svg>
"""


class _Scale:
    """From seconds and bytes to places on the panel."""

    def __init__(self, verdict: Verdict) -> None:
        self.begun_at = verdict.samples[0].at
        self.seconds = max(1.0, verdict.samples[-1].at - self.begun_at)
        self.most_mib = 1.12 * max(mib(verdict.budget_bytes), *(mib(s.total_bytes) for s in verdict.samples))

    def x(self, at: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (at - self.begun_at) / self.seconds

    def y(self, size_mib: float) -> float:
        return _TOP + _PLOT * (1.0 - size_mib / self.most_mib)


def _panel(title: str, verdict: Verdict) -> str:
    scale = _Scale(verdict)
    names = [name for name in verdict.needs if name in verdict.owners.values()]
    parts = [f'<text x="20" y="24" font-size="15" font-weight="600">Memory of the workers: {title}</text>']
    parts += _axes(scale) + _layers(verdict, names, scale) + _budget(verdict, scale)
    parts += _marks(verdict, names, scale) + _legend(names)
    return "\n".join(parts)


def _layers(verdict: Verdict, names: Sequence[str], scale: _Scale) -> list[str]:
    """Areas on top of each other, from bottom to top."""
    samples = _thinned(verdict.samples)
    heights = [list(accumulate(_held(verdict, sample, name) for name in names)) for sample in samples]
    below = [scale.y(0.0)] * len(samples)
    places = [scale.x(sample.at) for sample in samples]
    layers = []
    for number in range(len(names)):
        above = [scale.y(height[number]) for height in heights]
        edge = list(zip(places, above, strict=True)) + list(zip(places, below, strict=True))[::-1]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in edge)
        layers.append(f'<polygon points="{points}" fill="{_COLOURS[number]}" fill-opacity="0.75"/>')
        below = above
    return layers


def _thinned(samples: Sequence[Sample]) -> list[Sample]:
    """Of neighbours the largest: no peak is lost."""
    size = max(1, -(-len(samples) // _MOST_POINTS))
    groups = [samples[start : start + size] for start in range(0, len(samples), size)]
    return [max(group, key=lambda sample: sample.total_bytes) for group in groups]


def _held(verdict: Verdict, sample: Sample, name: str) -> int:
    return mib(sum(size for group, size in sample.pss_bytes.items() if verdict.owners.get(group) == name))


def _budget(verdict: Verdict, scale: _Scale) -> list[str]:
    y = scale.y(mib(verdict.budget_bytes))
    return [
        f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#dc2626" stroke-width="1.5"/>',
        f'<text x="{_WIDTH - _RIGHT}" y="{y - 5:.1f}" text-anchor="end" fill="#dc2626">'
        f"budget {mib(verdict.budget_bytes):,} MiB</text>",
    ]


def _marks(verdict: Verdict, names: Sequence[str], scale: _Scale) -> list[str]:
    """A triangle for each eviction, in the colour of the model that gave way; those of one moment stand in a column."""
    marks, before, row = [], 0.0, 0
    for eviction in verdict.evictions:
        x, colour = scale.x(eviction.at), _colour(names, eviction.victim)
        row = row + 1 if x - before < _MARK and row < _MOST_ROWS else 0
        before = x if row == 0 else before
        marks.append(
            f'<path d="M{x - _MARK / 2:.1f} {_TOP - 10 - _MARK * row} h{_MARK} l-{_MARK / 2} {_MARK - 1} z"'
            f' fill="{colour}"><title>{eviction.victim} gave way to {eviction.wanted_by}</title></path>'
        )
    return marks


def _legend(names: Sequence[str]) -> list[str]:
    parts, x = [], float(_LEFT)
    for name in names:
        parts.append(f'<rect x="{x}" y="36" width="11" height="11" rx="2" fill="{_colour(names, name)}"/>')
        parts.append(f'<text x="{x + 16}" y="46">{name.removeprefix("be_")}</text>')
        x += 34 + 7.0 * len(name.removeprefix("be_"))
    return [*parts, f'<text x="{x}" y="46">\u25be gives way</text>']


def _axes(scale: _Scale) -> list[str]:
    step = next((step for step in _STEPS_MIB if scale.most_mib / step <= 7), _STEPS_MIB[-1])
    lines = []
    for size in range(0, int(scale.most_mib), step):
        y = scale.y(size)
        lines.append(
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#e2e8f0"/>'
        )
        lines.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{size:,}</text>')
    every_s = next((step for step in _STEPS_S if scale.seconds / step <= 12), _STEPS_S[-1])
    for second in range(0, int(scale.seconds) + 1, every_s):
        x = scale.x(scale.begun_at + second)
        lines.append(f'<text x="{x:.1f}" y="{_TOP + _PLOT + 18}" text-anchor="middle">{second} s</text>')
    return [*lines, f'<text x="{_LEFT - 8}" y="{_TOP - 8}" text-anchor="end">MiB</text>']


def _colour(names: Sequence[str], name: str) -> str:
    return _COLOURS[names.index(name) % len(_COLOURS)] if name in names else _COLOURS[-1]
