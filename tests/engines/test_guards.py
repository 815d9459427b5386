"""Guards on written instructions: realistic ones of both kinds, and the reason of each drop."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xirecipe.engines.guards import Guard, clean_instruction
from xirecipe.recipe.generation import Guards

TEXT = "Mvua ilinyesha usiku kucha mjini Morogoro na daraja la zamani likasombwa na maji ya mto."

KEPT = (
    "Explain how to translate a birth certificate.",
    "What is the moral of the story of the hare?",
    "Write a short story about a tortoise and a monkey.",
    "Write a letter to a landlord about a leaking pipe.",
    "Tell me the story of Kilimanjaro.",
    "How do I write a formal letter of complaint?",
    "Explain how to summarize a long meeting in three sentences.",
    "Describe the history of the Swahili language.",
    "Write a news report about a new village bridge.",
    "What does article 12 of the constitution say about equality?",
    "How does a translator work in court?",
    "Give a short description of Lake Victoria.",
    "What are the main events in the story of the lion and the rabbit?",
    "Explain how to complete a passport application form.",
    "Why is it important to read the contract before you sign it?",
    "How can parents help children read at home?",
    "How do I correct a mistake on my birth certificate?",
    "Explain how to convert maize into flour at home.",
    "How do bees extract nectar from flowers?",
    "What is the text of the national anthem about?",
    "Continue the tradition of storytelling: tell a fable about a hyena.",
    "Describe what happens in a court after a person is arrested.",
    "What does the news say about the flood in Morogoro?",
    "Give me tips on how to edit photos on a phone.",
    "Write a poem about rain in the dry season.",
    "Who wrote the poem Utenzi wa Mwana Kupona?",
    "Explain how seeds are classified by farmers.",
    "What documents do I need to rent a house?",
    "Complete guide: how do I grow tomatoes in a small garden?",
    "How do you analyze soil before planting?",
    "What should a rental contract contain?",
    "Tell a story that teaches children not to lie.",
    "How was the treaty between the two kingdoms written?",
    "What is a paragraph and how is one written?",
    "Describe how a newspaper article is made, from idea to print.",
    "Write an essay about the importance of clean water.",
    "Give a speech that a father could hold at a wedding.",
    "Explain the following rule of football: offside.",
    "What are the given names of newborns among the Zulu?",
    "How can I shorten a dress by hand?",
    "Read me a bedtime story about a clever goat.",
    "What is the meaning of the proverb 'Haraka haraka haina baraka'?",
    "Explain the laws about the use of this land.",
    "How should I continue my studies after secondary school?",
    "Explain the steps of rewriting a will.",
    "Where is Mount Meru, and how high is it above sea level?",
    "How do I post a letter to another country?",
    "What is good content for a school newsletter?",
    "Describe the contents of a first-aid box.",
    "Explain how Shaaban Robert rewrote old tales.",
    "Summarize the history of Zanzibar.",
    "What is the passage of time called in physics?",
    "Who is the author of the novel Rosa Mistika?",
    "Explain how to edit your essay before an exam.",
)
MISSING_INPUT = (
    "Translate the following article into Swahili.",
    "Summarize the text above.",
    "Summarize the text.",
    "Translate this sentence to English.",
    "Rewrite the following paragraph in simple words.",
    "What is the main idea of the passage?",
    "Based on the text, what is cholera?",
    "According to the article, who built the bridge?",
    "Correct the grammar in the sentence below.",
    "Read the following story and answer the question.",
    "Paraphrase this.",
    "What is the author's opinion in this article?",
    "In the passage above, who is the main character?",
    "Extract the names of people from the given text.",
    "Write a summary of the text.",
    "Give a title for this story.",
    "Classify the sentiment of this review.",
    "Translate to Swahili: Good morning.",
    "Summarise the main points of the speech.",
    "What does the text say about malaria?",
    "Continue the story below.",
    "Complete the following sentence.",
    "Edit my essay for grammar.",
    "Proofread the letter.",
    "How many times does the word 'maji' appear in the text?",
    "Identify the verbs in the following sentences.",
    "Find the errors in this paragraph.",
    "Provide a short summary of the following news article.",
    "Answer the questions below using the passage.",
    "Analyze the tone of the poem.",
    "Convert the text into bullet points.",
    "What is the text about?",
    "Please translate the above into Swahili.",
    "Can you summarize this document for me?",
    "What is the title of the article?",
    "Describe what the article says about education.",
    "Explain the passage in your own words.",
    "What lesson does the passage teach?",
    "Who is the narrator of the story?",
    "Using the information provided, describe the bridge.",
    "Given the following text, write an instruction.",
    "Rephrase the sentence.",
    "What language is this text written in?",
    "Shorten the paragraph to two sentences.",
    "Write a headline for the news report above.",
    "Summarize this.",
    "Could you please translate the speech into English?",
)


def check(
    instruction: str, text: str = TEXT, guards: Guards | None = None, exemplars: tuple[str, ...] = ()
) -> str | None:
    verdict = Guard(guards or Guards(), exemplars).check(instruction, text)
    return verdict[0] if verdict else None


@pytest.mark.parametrize("instruction", KEPT)
def test_an_instruction_that_stands_by_itself_is_kept(instruction: str) -> None:
    # English is judged by a statistical model on short texts; here only the rules are of interest.
    assert check(instruction, guards=Guards(min_english_score=None)) is None


@pytest.mark.parametrize("instruction", MISSING_INPUT)
def test_an_instruction_about_a_text_that_is_not_there_is_dropped(instruction: str) -> None:
    assert check(instruction, guards=Guards(min_english_score=None, min_words=1)) == "guards.missing_input"


def test_the_words_that_ask_for_an_input_are_shown() -> None:
    verdict = Guard(Guards(), ()).check("Please summarize the text above.", TEXT)
    assert verdict == ("guards.missing_input", None, None, "text above")


def test_missing_input_can_be_switched_off() -> None:
    assert check("Summarize the text above.", guards=Guards(missing_input=False)) is None


@pytest.mark.parametrize("instruction", ["", "   ", "?!", "___"])
def test_an_instruction_without_a_word_is_empty(instruction: str) -> None:
    assert check(instruction) == "guards.empty"


def test_length_limits_are_inclusive_and_carry_their_values() -> None:
    guard = Guard(Guards(min_words=3, max_words=5, min_english_score=None), ())
    assert guard.check("Describe rain", TEXT) == ("guards.min_words", 2.0, 3.0, None)
    assert guard.check("Describe heavy rain", TEXT) is None
    assert guard.check("Describe heavy rain in Morogoro", TEXT) is None
    assert guard.check("Describe heavy rain in old Morogoro", TEXT) == ("guards.max_words", 6.0, 5.0, None)


def test_a_copy_of_an_exemplar_is_dropped_and_names_it() -> None:
    exemplar = "Write a short description of Paris."
    verdict = Guard(Guards(), (exemplar, "Explain how to boil an egg.")).check(
        "write a short DESCRIPTION of Paris", TEXT
    )
    assert verdict == ("guards.max_exemplar_similarity", 1.0, 0.8, exemplar)


def test_an_instruction_in_the_form_of_an_exemplar_about_something_else_is_kept() -> None:
    assert check("Write a short description of rain.", exemplars=("Write a short description of Paris.",)) is None


def test_a_run_of_the_texts_own_words_is_a_leak() -> None:
    guard = Guard(Guards(min_english_score=None, max_leaked_words=3), ())
    assert guard.check("Explain why daraja la zamani likasombwa", TEXT) == ("guards.max_leaked_words", 4.0, 3.0, None)
    assert guard.check("Explain why daraja la zamani fell", TEXT) is None


def test_words_in_another_order_are_no_leak() -> None:
    assert (
        check("Say maji mto daraja mjini Morogoro mvua", guards=Guards(min_english_score=None, max_leaked_words=2))
        is None
    )


@pytest.mark.parametrize(
    "instruction",
    [
        "Eleza jinsi ya kupika wali wa nazi nyumbani.",
        "लंबी यात्रा के लिए सुझाव दीजिए।",
        "Décrivez la ville de Mombasa en quelques phrases.",
    ],
)
def test_an_instruction_in_another_language_is_dropped(instruction: str) -> None:
    verdict = Guard(Guards(min_words=1), ()).check(instruction, TEXT)
    assert verdict is not None
    reason, value, threshold, detail = verdict
    assert (reason, threshold) == ("guards.min_english_score", 0.25)
    assert value is not None
    assert value < 0.25
    assert detail is not None
    assert detail.split()[0] != "en"


def test_guards_that_are_null_do_not_run() -> None:
    off = Guards(
        min_english_score=None, max_exemplar_similarity=None, max_leaked_words=None, missing_input=False,
        min_words=None, max_words=None,
    )  # fmt: skip
    assert check(TEXT, guards=off, exemplars=(TEXT,)) is None


@pytest.mark.parametrize(
    ("answer", "instruction"),
    [
        ("Describe rain.\nText: ...", "Describe rain."),
        ("\n\n  Describe   rain. \n", "Describe rain."),
        ("1. Describe rain.", "Describe rain."),
        ("- Describe rain.", "Describe rain."),
        ("Instruction: Describe rain.", "Describe rain."),
        ("“Describe rain.”", "Describe rain."),
        ('"Describe rain."', "Describe rain."),
        ('Describe "rain".', 'Describe "rain".'),
        ("2 kinds of rain: describe them.", "2 kinds of rain: describe them."),
        ("caf\u0065\u0301", "café"),
        ("", ""),
        ('"', '"'),
    ],
)
def test_an_answer_is_cleaned_to_its_instruction(answer: str, instruction: str) -> None:
    assert clean_instruction(answer) == instruction


@given(st.text(max_size=80))
def test_a_cleaned_instruction_is_one_line_and_stays_when_cleaned_of_spaces(answer: str) -> None:
    cleaned = clean_instruction(answer)
    assert cleaned == " ".join(cleaned.split())
    assert len(cleaned.splitlines()) <= 1


@given(st.text(max_size=60), st.text(max_size=60))
def test_every_text_gets_a_verdict(instruction: str, text: str) -> None:
    verdict = Guard(Guards(min_english_score=None), ("Describe rain.",)).check(instruction, text)
    assert verdict is None or verdict[0].startswith("guards.")
