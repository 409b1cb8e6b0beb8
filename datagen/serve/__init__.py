"""An OpenAI-compatible endpoint in front of a model that cites: what `serve` starts."""
