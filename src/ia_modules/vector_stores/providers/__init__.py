"""The databases behind the interface, one module each; imported by name through the factory."""
