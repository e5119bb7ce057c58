"""The ferry in the pictures."""

from __future__ import annotations

from mm_rag.demo.canvas import AMBER, CORAL, NAVY, Canvas


def draw_ferry(canvas: Canvas, x: float, waterline: float, length: float) -> None:
    """A ferry seen from the side, its bow to the right; `x` is its stern."""

    def at(along: float, up: float) -> tuple[float, float]:
        return x + length * along, waterline - length * up

    hull = [at(0, 0.15), at(1.06, 0.15), at(0.96, -0.04), at(0.05, -0.04)]
    canvas.polygon(hull, fill="#f4f7fb")
    canvas.polygon([at(0.015, 0.05), at(1.005, 0.05), at(0.96, -0.04), at(0.05, -0.04)], fill=CORAL)
    canvas.polygon([at(0.08, 0.15), at(0.08, 0.27), at(0.82, 0.27), at(0.87, 0.15)], fill="#dfe7f1")
    canvas.polygon([at(0.5, 0.27), at(0.5, 0.37), at(0.7, 0.37), at(0.75, 0.27)], fill="#f4f7fb")
    canvas.polygon([at(0.25, 0.27), at(0.27, 0.43), at(0.36, 0.43), at(0.38, 0.27)], fill=AMBER)
    for i in range(7):
        left, top = at(0.12 + i * 0.095, 0.235)
        canvas.box(left, top, length * 0.062, length * 0.045, fill=NAVY, radius=2)
    left, top = at(0.55, 0.345)
    canvas.box(left, top, length * 0.13, length * 0.04, fill=NAVY, radius=2)
