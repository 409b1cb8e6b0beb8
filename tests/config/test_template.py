import re

from datagen.config import layers, model, template
from datagen.config.model import Config


def test_as_it_stands_it_changes_nothing():
    assert model.parse(template.text(), "init.yaml") == Config()


def test_uncommented_it_says_every_default():
    text = re.sub(r"^( *)#(?=\w)", r"\1", template.text(), flags=re.MULTILINE)
    read = layers.read(text, "init.yaml")
    assert model.parse(text, "init.yaml") == Config()
    for name in layers.names(Config):
        place = read.data
        for part in name.split("."):
            if place is None:  # a section that is left out by default
                break
            assert part in place, name
            place = place[part]
