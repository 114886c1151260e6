"""Talking to the Pinecone emulator over plain HTTP."""

from __future__ import annotations

from typing import Any

import httpx

from ia_modules.vector_stores.emulator.pinecone import PineconeEmulator

VERSION = {"x-pinecone-api-version": "2026-07"}


def schema(dimension: int | None = 3, metric: str = "cosine", *, sparse: bool = False) -> dict[str, Any]:
    """The schema of an index of the Vectors API."""
    fields: dict[str, Any] = {}
    if dimension is not None:
        fields["_values"] = {"type": "dense_vector", "dimension": dimension, "metric": metric}
    if sparse:
        fields["_sparse_values"] = {"type": "sparse_vector"}
    return {"fields": fields}


class Wire:
    """A client, and an index of the emulator: ``docs``, if it was made."""

    def __init__(self, emulator: PineconeEmulator, index: str = "docs") -> None:
        self.emulator = emulator
        self.index = index
        # Nothing is encrypted here, and reading certificates takes longer than most tests.
        headers = {"api-key": "any", **VERSION}
        self.http = httpx.Client(base_url=emulator.url, headers=headers, timeout=20, verify=False, trust_env=False)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def create(self, *arguments: Any, **options: Any) -> Wire:
        """Make the index."""
        body = {"name": self.index, "schema": schema(*arguments, **options)}
        assert self.http.post("/indexes", json=body).status_code == 201
        return self

    def send(self, method: str, path: str, json: Any = None, **parameters: Any) -> httpx.Response:
        """A request to the index's data plane."""
        return self.http.request(method, f"/i/{self.index}{path}", json=json, params=parameters or None)

    def ask(self, method: str, path: str, json: Any = None, **parameters: Any) -> Any:
        """The content of an answer that is a success."""
        answer = self.send(method, path, json, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, path: str, json: Any, status: int = 400, code: int = 3, method: str = "POST") -> str:
        """The message of an answer that is a refusal in the form of the Vectors API."""
        answer = self.send(method, path, json)
        assert answer.status_code == status, answer.text
        body = answer.json()
        assert set(body) == {"code", "message", "details"}
        assert (body["code"], body["details"]) == (code, [])
        return str(body["message"])

    def upsert(self, *vectors: dict[str, Any], namespace: str | None = None) -> httpx.Response:
        """Store vectors; those without values get some."""
        body: dict[str, Any] = {"vectors": [{"values": [1.0, 0.0, 0.0]} | one for one in vectors]}
        if namespace is not None:
            body["namespace"] = namespace
        answer = self.send("POST", "/vectors/upsert", body)
        assert answer.status_code == 200, answer.text
        return answer

    def ids(
        self, filter: Any = None, namespace: str = "", vector: Any = (1.0, 0.0, 0.0), top_k: int = 1000
    ) -> list[str]:
        """The ids that a query finds, best first."""
        body = {"topK": top_k, "namespace": namespace, "vector": list(vector)}
        if filter is not None:
            body["filter"] = filter
        return [one["id"] for one in self.ask("POST", "/query", body)["matches"]]

    def fetched(self, *ids: str, namespace: str = "") -> dict[str, Any]:
        """Records by id."""
        found: dict[str, Any] = self.ask("GET", "/vectors/fetch", ids=list(ids), namespace=namespace)["vectors"]
        return found

    def listed(self, namespace: str = "") -> list[str]:
        """The ids on the first page of the list."""
        return [one["id"] for one in self.ask("GET", "/vectors/list", namespace=namespace)["vectors"]]

    def counts(self) -> dict[str, int]:
        """The numbers of records by namespace."""
        stats = self.ask("POST", "/describe_index_stats", {})
        return {name: one["vectorCount"] for name, one in stats["namespaces"].items()}
