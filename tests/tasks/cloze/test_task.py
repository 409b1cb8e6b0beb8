from datagen import prompts
from datagen.tasks.cloze.blanks import without_blanks
from datagen.tasks.cloze.task import render_question


def test_the_question_is_the_prompt_s():
    prompt = prompts.load("cloze")
    question = render_question(prompt, ["One _____.", "Two {{n}} _____."])
    assert question == prompts.render(prompt, n=2, sentences="1. One _____.\n2. Two {{n}} _____.")
    assert without_blanks(question)[1] == 2  # the prompt holds no blank of its own
