"""What is running text, and what is not."""

from __future__ import annotations

import pytest

from datagen.tasks.cloze.prose import fault


@pytest.mark.parametrize(
    ("quote", "reason"),
    [
        ("Too short to be asked.", "length"),
        ("and then " * 40 + "it ended.", "length"),
        ("came to the island in the winter with a small chest.", "start"),
        ("The keeper of the lighthouse was a quiet man who rarely", "end"),
        ("The keeper (a quiet man was on the island for a year.", "unbalanced marks"),
        ("The production is expr ::= term and it is given in the text.", "markup"),
        ("Look at https://example.org for the rest of this long story.", "markup"),
        ('The glow has the element rad="101600" in the body of it.', "markup"),
        ("The keeper of the island was a quiet man,,and 1009, he was old.", "markup"),
        ("The values for this are MAG__NN__ and the rest of {nbsp} them.", "markup"),
        ("इस काम के लिए ंिसह ने कहा था और वह घर में थे।", "torn letters"),
        ("يمكنها التعامل بأمان مع األحداث االستثنائية أو غير المتوقعة في البرنامج.", "torn letters"),
        ("كان الرجل في عصر ً فن العمارة وكتب رسالة طويلة إلى المدينة.", "torn letters"),
        ("وكان على الرجل أن يكتب رسالة من أىل المدينة البعيدة فوق البحر.", "torn letters"),
        ("معتقدیم که استانداردها با یکدی ر همسو باشند و آن را میخواهیم.", "torn letters"),
        ("در حالت کلی منابع خوب در 1۳4 بسیار سخت است و آن را میخواهیم.", "torn letters"),
        ("इन सभी ने वनों में दमयन्तीर्र् अपार दुःख सहे थे और वह घर में थे।", "torn letters"),
        ("बलवंतंिसह बराबर सोच रहे थे कि कैसे यह काम छोडने के लिए मनायें और वह घर में थे।", "torn letters"),
        ("चारों ओर रूपवती रंगीन तितलियाँ ॐ इस कानन के अरुण पराग छाया में थीं।", "torn letters"),
        ("The keeper of the island was a quiet • man and he was old.", "markup"),
        ("It was said ~~that the keeper of the island was a quiet man.", "markup"),
        ("कहां आ फंसाॐ वह घर में थे और उसने गेहूं को देखा था।", "torn letters"),
        ("वह घर में थे और फिर उसी प्रकार घर वापस लÝटते थे।", "torn letters"),
        ("وقال المحققون إن االدعاءات التي يقدمها شخص أو جهاز ما صحيحة.", "torn letters"),
        ("The first column   holds the names of the people in it.", "markup"),
        ("This work is licensed under the terms of the public deed.", "boilerplate"),
        ("Changed in version 3.8: The method is now called for each of them.", "boilerplate"),
        ("See also the chapter on the island and its many lighthouses.", "boilerplate"),
        ("Page 25 of the book holds the story of the old keeper.", "boilerplate"),
        ("1. The keeper of the lighthouse was a quiet man of the sea.", "boilerplate"),
        ("24 4.7 Verifying the integrity of the files of the installation of it.", "boilerplate"),
        ("BOOT_DEBUG Присвоение этому параметру значения приводит к подробному протоколированию.", "boilerplate"),
        ("Verifying the integrity of the files of the installation of it .", "end"),
        ("Then x = [y(1), z{2}] + w(3) * 4 - (5 / 6) and so on.", "few letters"),
        ("THE KEEPER OF THE LIGHTHOUSE was a quiet man who rarely spoke.", "capitals"),
        ("Handel, Mozart, Haydn, Kent, Purcell, Doctor Arne, Greene, Mendelssohn.", "enumeration"),
    ],
)
def test_what_is_no_prose(quote: str, reason: str):
    assert fault(quote) == reason


@pytest.mark.parametrize(
    "quote",
    [
        "ثمّ كتب الرجل رسالة عن «المنارة القديمة» إلى صديقه في المدينة.",  # quotation marks stand beside letters
        "जब वह घर में थे तब अर्थात् गर्मियों में एक कारीगर ने यह बनाया था।",
        "كتب الرجل في سنة 1440 هـ رسالة طويلة إلى صديقه و كتابا آخر.",
    ],
)
def test_what_is_whole(quote: str):
    assert fault(quote) is None
