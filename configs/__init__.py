"""Package data: one YAML per shipped model, cache policy and server preset."""
