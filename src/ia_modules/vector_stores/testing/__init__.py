"""The conformance kit: what decides whether a provider is one."""
