"""Every script: sentences are found, native terms are asked for as whole words, and the rows are proven."""

from __future__ import annotations

import random

import pytest

from datagen.tasks.cloze import frequency
from datagen.tasks.cloze.affixes import is_attached, variants
from datagen.tasks.cloze.boundaries import beside_line_end, is_whole, segments
from datagen.tasks.cloze.compose import Wanted, numbered, questions
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.languages import language, reads_like_prose
from datagen.tasks.cloze.rules import check
from datagen.tasks.cloze.sentences import prose_sentences
from datagen.tasks.cloze.terms import find, proposed
from datagen.tasks.cloze.words import length, show, words

# By language: terms of its own script that are asked for, with their chunks.
DOCUMENTS = {
    "en": {
        "Tewkesbury": (
            "The old lighthouse was built in the summer by a mason from Tewkesbury, and it stood on the cliff."
        ),
        "Quennell": (
            "In the autumn the storm broke the windows, and the keeper wrote a long letter to Quennell about it."
        ),
    },
    "fr": {
        "Quimperlé": (
            "Le vieux phare fut construit en été par un maçon de Quimperlé, et il se dressait sur la falaise."
        ),
        "Kervadec": ("En automne, la tempête brisa les fenêtres et le gardien écrivit une longue lettre à Kervadec."),
    },
    "de": {
        "Brunsbüttel": (
            "Der alte Leuchtturm wurde im Sommer von einem Maurer aus Brunsbüttel gebaut und stand auf der Klippe."
        ),
        "Zschopau": (
            "Im Herbst zerbrach der Sturm die Fenster, und der Wärter schrieb einen langen Brief an Zschopau."
        ),
    },
    "ru": {
        "Кологрив": (
            "Старый маяк построил летом каменщик из города Кологрив, и он долго стоял на высокой скале у моря."
        ),
        "Хвостиков": (
            "Осенью буря разбила окна, и смотритель написал об этом длинное письмо своему другу по имени Хвостиков."
        ),
    },
    "el": {
        "Γαλαξίδι": (
            "Τον παλιό φάρο τον έχτισε το καλοκαίρι ένας χτίστης από το Γαλαξίδι και στεκόταν πάνω στον βράχο."
        ),
        "Ραγκαβή": (
            "Το φθινόπωρο η καταιγίδα έσπασε τα παράθυρα και ο φύλακας έγραψε ένα γράμμα στον Ραγκαβή για αυτό."
        ),
    },
    "tr": {
        "Gökçebel": (
            "Eski deniz feneri yazın bir usta tarafından yapıldı ve o usta çocukken Gökçebel'de bir evde yaşadı."
        ),
        "Tokgöz": ("Sonbaharda fırtına pencereleri kırdı ve bekçi bunun için Tokgöz'e uzun bir mektup daha yazdı."),
    },
    "ar": {
        "كوستروما": (
            "بنى المنارة القديمة في الصيف رجل جاء من مدينة كوستروما البعيدة ثم بقيت على الصخرة فوق البحر سنوات."
        ),
        "شتاينبرغ": (
            "وفي الخريف كسرت العاصفة النوافذ وكتب الحارس رسالة طويلة إلى شتاينبرغ عن كل ما حدث في تلك الليلة."
        ),
    },
    "he": {
        "קרסנויארסק": ("את המגדלור הישן בנה בקיץ אדם אחד שבא אל העיר קרסנויארסק, והוא עמד שנים רבות על הצוק ליד הים."),
        "פטרוזבודסק": ("בסתיו שברה הסערה את החלונות, והשומר כתב מכתב ארוך אל פטרוזבודסק על כל מה שקרה באותו הלילה."),
    },
    "hi": {
        "कोस्त्रोमा": ("पुराना प्रकाशस्तंभ गर्मियों में एक कारीगर ने बनाया था जो कोस्त्रोमा से आया था और वह चट्टान पर खड़ा रहा।"),
        "श्टाइनबर्ग": ("पतझड़ में तूफान ने खिड़कियाँ तोड़ दीं और पहरेदार ने इस बारे में श्टाइनबर्ग को एक लंबा पत्र लिखा।"),
    },
    "zh": {
        "雾港纪事": ("那座古老的灯塔是夏天由一位来自《雾港纪事》作者家乡的石匠建造的，它一直站在海边的悬崖上。"),
        "曹雪芹": ("秋天的暴风雨打破了窗户，看守人为此给他的朋友曹雪芹写了一封很长的信，说明发生的一切。"),
    },
    "ja": {
        "コストロマ": (
            "古い灯台は夏にコストロマという町から来た石工によって建てられ、長いあいだ海の上の崖に立っていた。"
        ),
        "シュタインベルガー": (
            "秋の嵐が窓を壊したので、番人はそのことについてシュタインベルガーに長い手紙を書いて送った。"
        ),
    },
    "ko": {
        "크라스노야르스크": (
            "오래된 등대는 여름에 크라스노야르스크에서 온 석공이 지었고 오랫동안 바다 위의 절벽에 서 있었다."
        ),
        "체르니히우": ("가을 폭풍이 창문을 부수자 등대지기는 그 일에 대해 체르니히우에게 아주 긴 편지를 써서 보냈다."),
    },
    "th": {
        "แมนเชสเตอร์": ("ประภาคารเก่าหลังนี้สร้างขึ้นในฤดูร้อนโดยช่างก่อสร้างจากเมืองแมนเชสเตอร์ และตั้งอยู่บนหน้าผาเหนือทะเลมานานหลายปี"),
        "จระเข้ขวางคลอง": (
            "ในฤดูใบไม้ร่วงพายุได้พัดหน้าต่างแตก และคนเฝ้าได้เขียนจดหมายถึงเพื่อนว่าพวกเขาเป็น “จระเข้ขวางคลอง” เกี่ยวกับเรื่องนี้"
        ),
    },
}


@pytest.mark.parametrize("code", DOCUMENTS)
def test_native_terms_of_every_script_are_asked_for(code: str):
    doc = DocumentIndex.build([sentence + "\n\n" for sentence in DOCUMENTS[code].values()])
    for chunk, (term, sentence) in zip(doc.chunks, DOCUMENTS[code].items(), strict=True):
        assert [s.text for s in prose_sentences(chunk)] == [sentence]
        assert language(sentence) == code
        assert term in [found.text for found in find(sentence, doc)]


@pytest.mark.parametrize("code", DOCUMENTS)
def test_rows_of_every_script_are_proven(code: str):
    doc = DocumentIndex.build([sentence + "\n\n" for sentence in DOCUMENTS[code].values()])
    made = questions(doc, {"c": ([0, 1], random.Random(0))}, Wanted(1, 2, 2), numbered)["c"]
    assert isinstance(made, list)
    assert check(made[0], doc).passed


def test_marks_belong_to_their_letters():
    assert words("हिन्दी में क्षेत्रीय") == ["हिन्दी", "में", "क्षेत्रीय"]
    assert words("שָׁלוֹם") == words("שלום")
    assert words("مُحَمَّد مـحـمـد") == ["محمد", "محمد"]
    assert words("می\u200cخواهم") == ["میخواهم"]
    assert length("ภาษาไทยที่") == 4


def test_icu_places_count_characters():
    text = "𠀋在北京大学读书😀今天"
    assert [text[a:b] for a, b in segments(text, "zh")] == ["𠀋", "在", "北京", "大学", "读书", "😀", "今天"]


@pytest.mark.parametrize(
    ("text", "term", "code"),
    [
        ("It cost 12,500 crowns.", "500", "en"),
        ("It cost 12,500 crowns.", "12", "en"),
        ("It cost 12 500 couronnes.", "500", "fr"),
        ("It is 3.14 of it.", "14", "en"),
        ("At 10:30 he came.", "30", "en"),
        ("He sent an e-mail to it.", "mail", "en"),
        ("They don't know.", "don", "en"),
        ("In the U.S. it was.", "U", "en"),
        ("The x86_64 one.", "x86", "en"),
        ("Of Rev. R.Brown it was said.", "Brown", "en"),
        ("The and/or of it.", "or", "en"),
        ("It fell to -40 there.", "40", "en"),
        ("Debian-пакет это", "Debian", "ru"),
        ("北京大学是好的。", "京大", "zh"),
        ("서울특별시에서 왔다.", "서울", "ko"),
    ],
)
def test_half_of_a_token_is_no_term(text: str, term: str, code: str):
    at = text.index(term)
    assert not is_whole(text, at, at + len(term), code)


@pytest.mark.parametrize(
    ("text", "term", "code"),
    [
        ("It cost 12,500 crowns.", "12,500", "en"),
        ("It was Winkle's boat.", "Winkle", "en"),
        ("C’est la mairie d’Alkmaar ici.", "Alkmaar", "fr"),
        ("크라스노야르스크에서 왔다.", "크라스노야르스크", "ko"),
        ("그는 dpkg를 쓴다.", "dpkg", "ko"),
        ("Gökçebel'de bir ev.", "Gökçebel", "tr"),
        ("他在1898年来到北京。", "1898", "zh"),
        ("The word--Pickwick--was it.", "Pickwick", "en"),
    ],
)
def test_what_a_language_sets_off_leaves_a_term_whole(text: str, term: str, code: str):
    at = text.index(term)
    assert is_whole(text, at, at + len(term), code)


@pytest.mark.parametrize(
    ("word", "code", "attached"),
    [
        ("والقاهرة", "ar", True),
        ("بالقاهرة", "ar", True),
        ("القاهرة", "ar", False),
        ("בירושלים", "he", True),
        ("ירושלים", "he", False),
        ("서울에서", "ko", True),
        ("Helsinkissä".casefold(), "fi", True),
        ("helsinki", "fi", False),
        ("budapesten", "hu", True),
        ("روعتها", "ar", True),
        ("نظيرها", "ar", True),
        ("Joosefkin".casefold(), "fi", True),
        ("کتابهای", "fa", True),
    ],
)
def test_a_term_with_what_its_language_attaches_is_left_out(word: str, code: str, attached: bool):
    known = {"روعة", "نظير", "joosef", "کتاب", "القاهرة", "قاهرة", "ירושלים", "서울", "helsinki", "budapest"}
    assert is_attached(word, code, known.__contains__) is attached


@pytest.mark.parametrize(
    ("shown", "asked", "code"),
    [
        ("وبالقاهرة", "القاهرة", "ar"),
        ("בירושלים", "ירושלים", "he"),
        ("서울은", "서울", "ko"),
        ("иваном", "иван", "ru"),
        ("annę", "anna", "pl"),
        ("helsingissä", "helsinki", "fi"),
        ("preseeded", "preseeding", "ko"),
        ("ankara'da".replace("'", ""), "ankara", "tr"),
    ],
)
def test_another_form_gives_a_word_away(shown: str, asked: str, code: str):
    assert variants(shown, asked, code)


@pytest.mark.parametrize(
    ("sentences", "code"),
    [
        (["पुराना प्रकाशस्तंभ गर्मियों में एक कारीगर ने यहाँ बनाया था।", "वह बहुत दिनों तक चट्टान पर अकेला खड़ा रहा था।"], "hi"),
        (
            ["یہ پرانا مینار گرمیوں میں ایک کاریگر نے یہاں بنایا تھا۔", "وہ بہت دنوں تک چٹان پر اکیلا کھڑا رہا تھا۔"],
            "ur",
        ),
        (
            ["متى بنى الرجل هذه المنارة القديمة على الصخرة فوق البحر؟", "بقيت المنارة على الصخرة سنوات طويلة بعد ذلك."],
            "ar",
        ),
        (["古い灯台は夏に町から来た石工が建てたものだ。", "それは長いあいだ海の上の崖に立っていた！"], "ja"),
        (
            [
                "Ποιος έχτισε τον παλιό φάρο πάνω στον βράχο της θάλασσας;",
                "Κανείς δεν ξέρει πια ποιος τον έχτισε εκεί πάνω.",
            ],
            "el",
        ),
    ],
)
def test_stops_of_other_scripts_end_sentences(sentences: list[str], code: str):
    joined = ("" if code == "ja" else " ").join(sentences)
    assert [s.text for s in prose_sentences(joined)] == sentences
    assert all(language(s) == code for s in sentences)


def test_the_language_is_that_of_the_sentence_and_not_of_the_document():
    assert language("The lighthouse was built by a man from the town.") == "en"
    assert language("Le phare fut construit par un homme de la ville.") == "fr"
    assert language("Şehirden gelen bir adam bu feneri çok uzun zaman önce yaptı.") == "tr"
    assert language("apt-get install foo bar baz") == ""


@pytest.mark.parametrize(
    ("sentence", "cut"),
    [
        ("어떤 사람은 언젠가 그 마을의 등대에서 바다를 다시 보게 될까 봐 걱정을 했다고 한다.", "언젠"),
        ("그 사람은 여러 책을 한꺼번에 마을의 등대로 가지고 와서 바다를 보며 읽었다고 한다.", "한꺼번"),
        ("그 사람은 컴퓨터를 껐다가 다시 마을의 등대에서 바다를 보며 책을 읽었다고 한다.", "껐다"),
        ("그 사람은 이 프로그램을 개발했으므로 마을의 등대에서 문제를 일으킬 가능성이 적다고 한다.", "개발했으므"),
        ("그 파일은 마을의 컴퓨터에서 *nix 도구로 등대의 기록을 나누어 저장할 수 있다.", "nix"),
        ("その実行コンパイラスは町の人々によって作られたものだという。", "コンパイラス"),
        (
            "それは町のソルグム・スクリプタ・設定などから作られている。",
            "ソルグム・スクリプタ",
        ),
        ("对于本机的套接字，必须确认它们能够在这个目录内找到并且能够使用。", "套接"),
        ("秘密盐值应与密码分开存储，例如放在另一个安全的地方。", "盐值应"),
        ("这样您以后就不必惊慌失措，例如在另一个安全的地方想要使用它的时候。", "失措"),
        ("它可以将命令发送到灯塔的调制解调器，例如放在另一个安全的地方。", "解调"),
        ("您可以获取那座灯塔上发布的最新的档案库公钥，并且把它放在另一个地方。", "库公钥"),
        ("它的功能是通过安装本套件的各个模块得以延伸和扩展的，放在另一个地方。", "本套"),
        ("您可以选择对整块硬盘或是其上的空闲空间进行自动分区，放在另一个地方。", "整块"),
        ("その人は町の灯台の前で、名残り惜気に首を出してから海の方へ歩いたという。", "惜気"),
    ],
)
def test_a_part_of_a_word_is_not_asked_for(sentence: str, cut: str):
    doc = DocumentIndex.build([sentence, ""])
    assert cut not in [t.text for t in find(sentence, doc)]


@pytest.mark.parametrize(
    ("sentence", "noun"),
    [
        ("Старый человек долго сидел в горенке, и он видел из окна море, а потом ушёл на полатях.", "полатях"),
        ("Starý muž dlouho seděl v putyce, a viděl z okna moře, ale potom odešel do jiného města.", "putyce"),
        ("Stary człowiek długo siedział w karczmie, a potem poszedł do miasta i widział morze.", "karczmie"),
        ("Ο παλιός φύλακας του φάρου ήταν στο κελλάρι και δεν είδε την καταιγίδα που ήρθε από τη θάλασσα.", "κελλάρι"),
    ],
)
def test_rare_nouns_are_asked_for_where_few_names_are(sentence: str, noun: str):
    doc = DocumentIndex.build([sentence, ""])
    assert noun in [t.text for t in find(sentence, doc)]


def test_a_word_next_to_a_line_end_may_be_cut():
    assert beside_line_end("이 설\n명서를 쓴다", "명서", "ko")
    assert beside_line_end("罪の赦し(abso\nlution)です", "lution", "ja")
    assert beside_line_end("罪の赦し(abso\nlution)です", "abso", "ja")
    assert not beside_line_end("二つ目は、\n懺悔師です", "懺悔師", "ja")  # told by its segments
    assert not beside_line_end("이 설명서를\n(lution)으로", "lution", "ko")
    assert not beside_line_end("He saw the\nLighthouse there", "Lighthouse", "en")


def test_a_torn_text_of_arabic_letters_reads_like_no_prose():
    whole = "بنى المنارة القديمة في الصيف رجل جاء من مدينة كوستروما البعيدة ثم بقيت على الصخرة فوق البحر سنوات."
    torn = "يرسل المحققون تحد ا غير متكرر ي رسال إل أىهزة أو برامج التشفير عل قىهاز اعتمدا مفتىح مخزونن بشكلل ممنن."
    assert reads_like_prose(whole, "ar", frozenset())
    assert not reads_like_prose(torn, "ar", frozenset())


def test_furigana_are_no_titles():
    shown = show("その町には灯台《とうだい》があり、番人は『雨の記録』という本を書いて静かに暮らしていた。")
    doc = DocumentIndex.build([shown, ""])
    found = [t.text for t in find(shown, doc)]
    assert "とうだい" not in found
    assert "雨の記録" in found


def test_german_nouns_are_no_names():
    shown = "Der Leuchtturm stand auf der Klippe, und der Wärter aus Brunsbüttel schrieb einen Brief an die Regierung."
    doc = DocumentIndex.build([shown, ""])
    assert [t.text for t in find(shown, doc)] == ["Brunsbüttel"]


@pytest.mark.parametrize(
    "sentence",
    [
        "საქართველოს დედაქალაქში ცხოვრობდა განთქმული ხელოვნებათმცოდნე დავით ორბელიანი, რომელიც წერდა წიგნებს.",
        "በአዲስ አበባ ከተማ ውስጥ የሚኖረው ታዋቂው ደራሲ ከበደ ሚካኤል ብዙ መጻሕፍትን ጽፎ ለአንባቢዎች አቅርቧል።",
        "Երևանում ապրում էր հայտնի պատմաբան Հովհաննես Թումանյանը, որը գրում էր գրքեր երեխաների համար։",
        "Në qytetin e Korçës jetonte shkrimtari i njohur Thimi Mitko, i cili mblidhte këngët popullore shqiptare.",
    ],
)
def test_a_language_that_is_not_known_is_no_error(sentence):
    doc = DocumentIndex.build([sentence, "Another chunk."])
    assert all(term.text in sentence for term in proposed(sentence, doc))
    for word in sentence.split():
        assert not frequency.is_misspelt(word, "")
        assert frequency.of_forms(word, "") >= 0
        frequency.is_familiar(word, "")


def test_a_chinese_word_that_is_in_no_list_stands_between_other_characters_elsewhere():
    asked = "灯塔的看守人在秋天给他的朋友写信，说他在海边见到了靐龘，并且一直在那里等待。"
    once = DocumentIndex.build([asked, "", ""])
    assert "靐龘" not in [t.text for t in find(asked, once)]
    again = DocumentIndex.build([asked, "石匠说靐龘是海边悬崖上的一座古老的灯塔。", ""])
    assert "靐龘" in [t.text for t in find(asked, again)]


@pytest.mark.parametrize(
    ("sentence", "asked"),
    [
        ("ปัจจุบันนั้นมีร้านหนูณิชย์อยู่ในตลาดเก่ากว่า 12,400 แห่ง และประภาคารตั้งอยู่บนหน้าผาเหนือทะเล", ["12,400"]),
        ("นักศึกษาของมหาวิทยาลัยสงขลานครินทร์ ได้สร้างประภาคารใหม่บนหน้าผาเหนือทะเล", ["สงขลานครินทร์"]),
        ("คนเฝ้าประภาคารในอาคารเฉลิมพระเกียรติโรงพยาบาลพระมงกุฎเกล้า ได้เขียนจดหมายถึงเพื่อน", ["เฉลิมพระเกียรติ", "พระมงกุฎเกล้า"]),
        ("คนเฝ้าประภาคารได้เขียนจดหมายถึงเพื่อนที่ใช้ Windows 98 และ Grafana ในเมืองเก่าริมทะเล", ["Grafana"]),
        ("คนเฝ้าประภาคารได้เขียนจดหมายถึงเพื่อนว่าพวกเขามี “ความสุข” อยู่บนหน้าผาเหนือทะเลอย่างรวดเร็ว", []),
    ],
)
def test_thai_is_asked_for_numbers_names_and_what_is_quoted(sentence: str, asked: list[str]):
    doc = DocumentIndex.build([sentence, "", "", "", ""])
    assert [s.text for s in prose_sentences(sentence)] == [sentence]
    assert [t.text for t in find(sentence, doc)] == asked


def test_thai_clauses_are_taken_together_until_they_say_enough():
    first = "คนเฝ้าประภาคารได้เขียนจดหมายถึงเพื่อน และช่างก่อสร้างต่าง ๆ ได้อ่านจดหมาย ซึ่งเป็นเรื่องเกี่ยวกับพายุ"
    second = "ต่อมาพายุได้พัดหน้าต่างของประภาคารแตก คนเฝ้าจึงได้เขียนจดหมายถึงเพื่อน ๆ ของเขาอีกหลายฉบับ"
    assert [s.text for s in prose_sentences(f"{first} {second}\n")] == [first, second]
    heading = "ศาสตร์พระราชา สู่การพัฒนาอย่างยั่งยืน วันศุกร์ที่ 26 พฤษภาคม 2560 เวลา 20.15 น."
    assert [s.text for s in prose_sentences(f"{heading}\n{first} {second} {first} {second}\n")] == [first, second] * 2


@pytest.mark.parametrize(
    ("word", "code"),
    [("जेलो", "hi"), ("बडी", "hi"), ("خليتين", "ar"), ("كتلتين", "ar"), ("کتابهای", "fa")],
)
def test_a_known_word_without_its_signs_or_with_an_ending_is_no_rare_one(word: str, code: str):
    assert frequency.is_familiar(word, code)


def test_hindi_adverbs_and_infinitives_are_no_nouns():
    sentence = "वहां उसने यह क्रिया संतोषपूर्वक की और फिर वह घर में जाकर बहुत दिनों तक बैठा रहा था।"
    assert "संतोषपूर्वक" not in [t.text for t in find(sentence, DocumentIndex.build([sentence, ""]))]
