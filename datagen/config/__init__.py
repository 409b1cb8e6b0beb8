"""The configuration: one strict YAML model, a module a group of sections."""
