"""`python -m datagen` is `longrlvr-data`."""

from datagen.cli import app

app()
