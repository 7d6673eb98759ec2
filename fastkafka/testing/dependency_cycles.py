"""Cycles of transactions: groups that all depend on each other, by Tarjan's algorithm."""

from __future__ import annotations

from collections.abc import Iterator

from fastkafka.testing.history import Transaction

Graph = dict[Transaction, set[Transaction]]


def add_edge(graph: Graph, before: Transaction, after: Transaction) -> None:
    """Note that one transaction comes before another."""
    graph.setdefault(before, set()).add(after)
    graph.setdefault(after, set())


def cycles(graph: Graph) -> list[list[Transaction]]:
    """Return the strongly connected groups of more than one transaction.

    A stack of iterators stands for the recursion: histories have more transactions than Python
    has stack frames.
    """
    found: list[list[Transaction]] = []
    index: dict[Transaction, int] = {}
    low: dict[Transaction, int] = {}
    waiting: list[Transaction] = []
    is_waiting: set[Transaction] = set()
    for root in graph:
        if root in index:
            continue
        path: list[tuple[Transaction, Iterator[Transaction]]] = [(root, iter(graph[root]))]
        index[root] = low[root] = len(index)
        waiting.append(root)
        is_waiting.add(root)
        while path:
            node, followers = path[-1]
            for follower in followers:
                if follower not in index:
                    index[follower] = low[follower] = len(index)
                    waiting.append(follower)
                    is_waiting.add(follower)
                    path.append((follower, iter(graph[follower])))
                    break
                if follower in is_waiting:
                    low[node] = min(low[node], index[follower])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == index[node]:
                    group = _take_group(waiting, is_waiting, node)
                    if len(group) > 1:
                        found.append(group)
    return found


def _take_group(
    waiting: list[Transaction], is_waiting: set[Transaction], node: Transaction
) -> list[Transaction]:
    group = []
    while True:
        member = waiting.pop()
        is_waiting.discard(member)
        group.append(member)
        if member is node:
            return group
