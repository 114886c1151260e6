"""The objects of one tenant: an inverted index over their properties, and exact search over their vectors."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from .text import tokens
from .values import RefusedError, float_key, parse_date, parse_uuid

NO_VECTOR = np.empty(0, dtype=np.float32)
LENGTHS = "vector lengths don't match"


def keys_of(definition: dict[str, Any], value: Any) -> set[Any]:
    """What a value is found by; the order of the keys is the order that comparisons go by."""
    kind = definition["dataType"][0]
    many = value if kind.endswith("[]") else [value]
    base = kind.removesuffix("[]")
    if base == "text":
        return {token for one in many for token in tokens(definition["tokenization"], one)}
    return {key_of(base, one) for one in many}


def key_of(base: str, value: Any) -> Any:
    if base == "number":
        return float_key(value)
    if base == "date":
        return (parse_date(value) or (0, ""))[0]
    return parse_uuid(value).bytes if base == "uuid" else int(value) if base in ("int", "boolean") else value


class Stored:
    """One object. ``doc`` is its number in the indexes: the order of filtered results."""

    __slots__ = ("created", "doc", "id", "keys", "properties", "updated", "vectors")

    def __init__(self, id: str, properties: dict[str, Any], vectors: dict[str, np.ndarray]) -> None:
        self.id = id
        self.properties = properties
        self.vectors = vectors
        self.created = self.updated = int(time.time() * 1000)
        self.doc = -1
        self.keys: dict[str, set[Any]] = {}


def normalized(vector: np.ndarray) -> np.ndarray:
    """In float32 throughout: a vector too small or too large to be squared becomes zero."""
    with np.errstate(all="ignore"):
        norm = np.sqrt(np.sum(vector * vector, dtype=np.float32))
        return vector if norm == 0 else vector / norm


def distances(metric: str, matrix: np.ndarray, query: np.ndarray) -> Any:
    with np.errstate(all="ignore"):
        if metric == "cosine":
            found = np.float32(1) - matrix @ normalized(query)
            return np.where(found < 0, np.float32(0), found)
        if metric == "dot":
            return -(matrix @ query)
        if metric == "hamming":
            return np.count_nonzero(matrix != query, axis=1).astype(np.float32)
        difference = matrix - query
        if metric == "manhattan":
            return np.abs(difference).sum(axis=1, dtype=np.float32)
        return np.einsum("ij,ij->i", difference, difference)


class Shard:
    def __init__(self, name: str, definition: dict[str, Any]) -> None:
        self.name = name
        self.definition = definition
        self.objects: dict[str, Stored] = {}
        self.docs: dict[int, Stored] = {}
        self.next_doc = 0
        self.index: dict[str, dict[Any, set[int]]] = {}
        self.nulls: dict[str, tuple[set[int], set[int]]] = {}
        self.dims: dict[str, int] = {}
        self._matrices: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._sorted: list[str] | None = None

    # -- writing

    def metric(self, name: str) -> str:
        config = self.definition["vectorConfig"][name] if name else self.definition
        metric: str = config["vectorIndexConfig"]["distance"]
        return metric

    def refusal(self, one: Stored) -> str | None:
        """Vectors of another length than the index has, before anything of the batch is written."""
        for name, vector in one.vectors.items():
            known = self.dims.get(name)
            if known is not None and len(vector) != known:
                place = f" {name} for target vector" if name else " for"
                return (
                    f"Validate vector index{place} {one.id}: new node has a vector with length {len(vector)}. Existing "
                    f"nodes have vectors with length {known}: vector dimensions do not match the index dimensions"
                )
        return None

    def put(self, one: Stored) -> str | None:
        """Write; what cannot go into a vector index is reported, but the object stays."""
        old = self.objects.get(one.id)
        kept = old is not None and same_vectors(old.vectors, one.vectors)
        if old is not None:
            one.created = old.created
            if not kept:
                self._forget(old)
                del self.docs[old.doc]
        if old is not None and kept:
            one.doc = old.doc
            self._move(old, one)
        else:
            one.doc = self.next_doc
            self.next_doc += 1
            self._remember(one)
        if old is None:
            self._sorted = None
        self.objects[one.id] = one
        self.docs[one.doc] = one
        if kept:
            return None
        self._matrices.clear()
        problem = None
        for name, vector in one.vectors.items():
            place = f"doc id {one.doc} to vector index" + (f" for target vector {name}" if name else "")
            if not len(vector):
                problem = f"insert to vector index: insert {place}: insert called with nil-vector"
            elif self.dims.setdefault(name, len(vector)) != len(vector):
                problem = (
                    f"insert to vector index: insert {place}: find and connect neighbors: at level 0: pick entrypoint "
                    "at level beginning: calculate distance between insert node and entrypoint: "
                    f"{len(vector)} vs {self.dims[name]}: {LENGTHS}"
                )
        return problem

    def delete(self, one: Stored) -> None:
        self._forget(one)
        del self.docs[one.doc], self.objects[one.id]
        self._matrices.clear()
        self._sorted = None

    def _entries(self, one: Stored) -> dict[str, set[Any]]:
        """Per index, the keys of an object. ``null:`` and ``len:`` are indexes too, of properties that have any."""
        extra = self.definition["invertedIndexConfig"]
        out: dict[str, set[Any]] = {}
        for known in self.definition["properties"] or []:
            if not (known["indexFilterable"] or known["indexSearchable"] or known["indexRangeFilters"]):
                continue
            name, kind = known["name"], known["dataType"][0]
            value = one.properties.get(name)
            if value is not None and kind != "blob":
                out[name] = keys_of(known, value)
            # Of a name that begins so, the server notes only that there is no value.
            if extra.get("indexNullState") and not (name.startswith("_") and value not in (None, "", [])):
                out[f"null:{name}"] = {value is None or value == "" or value == []}
            if extra.get("indexPropertyLength") and (kind == "text" or kind.endswith("[]")):
                out[f"len:{name}"] = {len(value or "")}
        return out

    def _remember(self, one: Stored) -> None:
        one.keys = self._entries(one)
        for name, keys in one.keys.items():
            index = self.index.setdefault(name, {})
            for key in keys:
                index.setdefault(key, set()).add(one.doc)

    def _drop(self, doc: int, name: str, keys: Iterable[Any]) -> None:
        index = self.index.get(name, {})
        for key in keys:
            if key in index:
                index[key].discard(doc)
                if not index[key]:
                    del index[key]

    def _forget(self, one: Stored) -> None:
        for name, keys in one.keys.items():
            self._drop(one.doc, name, keys)

    def _move(self, old: Stored, new: Stored) -> None:
        """The same number: only what differs is written, so an older object gets no null for a newer property."""
        before, after = self._entries(old), self._entries(new)
        new.keys = dict(old.keys)
        for name in before.keys() | after.keys():
            gone, come = (
                before.get(name, set()) - after.get(name, set()),
                after.get(name, set()) - before.get(name, set()),
            )
            self._drop(new.doc, name, gone)
            for key in come:
                self.index.setdefault(name, {}).setdefault(key, set()).add(new.doc)
            if gone or come:
                new.keys[name] = (new.keys.get(name, set()) - gone) | come

    # -- reading

    def by_uuid(self) -> list[str]:
        if self._sorted is None:
            self._sorted = sorted(self.objects)
        return self._sorted

    def _matrix(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        if name not in self._matrices:
            length = self.dims.get(name)
            cosine = self.metric(name) == "cosine"
            docs = [doc for doc, one in self.docs.items() if len(one.vectors.get(name, NO_VECTOR)) == length]
            rows = [self.docs[doc].vectors[name] for doc in docs]
            matrix = np.stack(rows) if rows else np.empty((0, length or 0), dtype=np.float32)
            if cosine and rows:
                with np.errstate(all="ignore"):
                    norms = np.sqrt(np.sum(matrix * matrix, axis=1, dtype=np.float32, keepdims=True))
                    matrix = matrix / np.where(norms == 0, np.float32(1), norms)
            self._matrices[name] = (np.array(docs, dtype=np.int64), matrix)
        return self._matrices[name]

    def near(
        self, name: str, query: np.ndarray, allowed: set[int] | None, count: int, farthest: float | None
    ) -> list[tuple[Stored, float]]:
        docs, matrix = self._matrix(name)
        if allowed is not None:
            wanted = np.fromiter((doc in allowed for doc in docs.tolist()), dtype=bool, count=len(docs))
            docs, matrix = docs[wanted], matrix[wanted]
        if len(docs) and matrix.shape[1] != len(query):
            known = f"{matrix.shape[1]} vs {len(query)}: {LENGTHS}"
            raise RefusedError(
                f"vector search: {known}"
                if allowed is not None
                else f"vector search: knn search: distance between entrypoint and query node: {known}"
            )
        if not len(docs):
            return []
        found = distances(self.metric(name), matrix, query)
        order = np.lexsort((docs, found))
        if farthest is not None:
            order = order[~(found[order] > np.float32(farthest))]
        return [(self.docs[int(docs[at])], float(found[at])) for at in order[:count]]


def same_vectors(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> bool:
    return left.keys() == right.keys() and all(left[name].tobytes() == right[name].tobytes() for name in left)
