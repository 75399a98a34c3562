"""The price of a DPU-hour. Prices are configured, so all amounts of dollars are estimates."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

_Usd = Annotated[
    Annotated[float, Meta(ge=0, le=1000)] | None,
    Meta(description="US dollars for a DPU-hour, a number from 0 to 1000, or null for no estimates"),
]


class Prices(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """US dollars for a DPU-hour, None for no estimates.

    The defaults are the prices of most Regions on 2026-11-26: https://aws.amazon.com/glue/pricing/
    Memory-optimized workers (R.1X to R.8X) have a price of their own, which has no default.
    """

    standard: _Usd = 0.44
    flex: _Usd = 0.29
    memory_optimized: _Usd = None
