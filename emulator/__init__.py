"""Doubles of vector database servers, for tests: they speak the wire, and keep their data in memory."""
