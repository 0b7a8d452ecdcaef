"""The boundaries of the product. Each imports its part of it when it is opened, in a process of its own."""

from resilience.fuzz.boundaries import broker, contracts, edge_files, functions, models, rules, stacks
from resilience.fuzz.boundary import Boundary

BOUNDARIES: tuple[Boundary, ...] = (
    *contracts.BOUNDARIES,
    *models.BOUNDARIES,
    *edge_files.BOUNDARIES,
    *stacks.BOUNDARIES,
    *broker.BOUNDARIES,
    *rules.BOUNDARIES,
    *functions.BOUNDARIES,
)
