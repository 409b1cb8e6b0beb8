from datagen.cli import app

app()
