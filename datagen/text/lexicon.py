"""Characters and words that the heuristics about sentences and terms know.

Lists are short on purpose: what is missing here costs a sentence or a term now and then, never a wrong label. So
`TERMINATORS` are the marks that end sentences in languages that are known here; all of Unicode's, behind which a chunk
may be cut, are in `punctuation`.
"""


def _set(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


TERMINATORS = ".!?…。！？．｡‼⁇⁈⁉؟۔।॥։\u037e׃።፧။។៕།"
FULL_STOPS = "。！？．｡‼⁇⁈⁉؟۔।॥።፧။។៕།"  # end a sentence without a space after them
OPENERS = "\"'“‘«‹„‚‟([{「『《〈【〔〖（［｢＂＇*`_¿¡"
CLOSERS = "\"'”’“»›)]}」』》〉】〕〗）］｣＂＇*`_"
DASHES = "-–—"
SPACES = " \u00a0\u202f"

# A full stop after these never ends a sentence; after the second set, not before a number.
ABBREVIATIONS = _set(
    "mr mrs ms dr prof rev hon st sr jr messrs mm mme mmes mlle mlles mgr capt col gen lt sgt gov sen vs viz cf eg ie "
    "esq bros ed eds dept univ approx resp hr fr frl bzw usw ca sra srta dott sig d.h z.b op e.g i.e al "
    "ggf evtl vgl inkl sog abb ud uds pág págs núm av им см ср ул руб тыс млн млрд стр рис гг np tzn ul tzv např "
    "vb yy bkz örn dhr mevr mw bijv enz πχ δρ κ د"
)
BEFORE_NUMBER = _set("no nos p pp vol vols ch chap fig figs sec art n nr s bd t v sect")

# Articles and possessives by language, as codes of ISO 639: what also stands before verbs ("this", "de", "il") is left
# out.
DETERMINERS = {
    "en": _set("the a an these those his her its their our my your some any no each every another"),
    "fr": _set(
        "le la les l un une des du au aux ce cet cette ces mon ton son ma ta sa mes tes ses notre votre leur nos vos "
        "leurs"
    ),
    "de": _set("der die das dem den ein eine einen einem einer eines kein keine sein seine ihr ihre mein meine"),
    "es": _set("el la los las un una unos unas este esta estos estas su sus del al"),
    "it": _set("il la lo gli le un una uno della dello delle degli del sua suo"),
    "pt": _set("uma um uma da do das dos na no sua seu"),
    "nl": _set("de het een zijn haar hun"),
    "el": _set("ο η οι στο στη στην στον στα στις στους ενός μιας ένας μία"),
    "sv": _set("en ett min mitt din ditt sin sitt"),
    "nb": _set("en et ei min mitt din ditt sin sitt"),
    "da": _set("en et min mit din dit sin sit"),
}
# Prepositions, by language, which say as much where there are no articles; and how adjectives end there.
PREPOSITIONS = {
    "ru": _set("в во на с со к ко о об обо от до из у за по под над при для без через между перед около против"),
    "uk": _set("в у на з зі із до від по за під над при для без через між перед біля проти о об"),
    "cs": _set("v ve na s se z ze k ke o od ode do u za po pod nad při pro bez přes mezi před proti"),
    "sk": _set("v vo na s so z zo k ku o od do u za po pod nad pri pre bez cez medzi pred proti"),
    "pl": _set("w we na z ze ku o od do u za po pod nad przy dla bez przez między przed przeciw"),
}
SLAVIC_ADJECTIVE = (
    "(?:(?:вш|[аяую]щ)[а-я]{2,3}|ого|его|ому|ему|ыми|ими|[ыи]х|[уює]ю|[оеы]й|ий|[ыіи]м|[аяоеыиі][яеї]|ного|ній|"
    "ého|ému|ých|ými|ích|ími|ém|é|ý|í|ego|emu|ych|ich|ymi|imi|ej|ą)$"
)
# Before a verb the French articles are pronouns: after one of these, or with one of these endings, it is a verb.
CLITIC_HOSTS = _set("je tu il elle on nous vous ils elles ne me te se qui")
CLITICS = _set("le la les l")
VERB_ENDING = "(?:er|ir|dre|ait|ent|it|ut|ons|ez)$"
ELISIONS = "(?:[ldjmtscn]|qu|jusqu|lorsqu|puisqu|quoiqu|dell|all|nell|sull|un)['’]"

# Lower-case links inside a name, and words before one that stay outside the blank.
PARTICLES = _set("of de du des von van der den zu della di da del la le al el bin ibn y")
HONORIFICS = _set(
    "mr mrs ms miss dr prof sir lord lady captain capt colonel major general king queen prince princess duke saint st "
    "monsieur madame mademoiselle mme mlle herr frau señor señora uncle aunt father mother brother sister mister "
    "the a an le la les der die das el los"
)
# Capitalised for other reasons than being a name, or too easily guessed.
NO_NAMES = _set(
    "i god lord sir madam ma'am monsieur madame mademoiselle messieurs mesdames miss mr mrs oh ah o yes no well but "
    "and the a an in on at it he she they we you this that these those if when what why how who where there here "
    "maman papa "
    "monday tuesday wednesday thursday friday saturday sunday true false none english french latin "
    "python javascript linux unix windows macos unicode"
)
NUMBERED_PARTS = _set(
    "chapter chapters section part book act scene page volume figure table appendix chapitre annexe kapitel abschnitt "
    "anhang abbildung tabelle capítulo sección apéndice capitolo sezione hoofdstuk rozdział глава раздел приложение "
    "рисунок таблица κεφάλαιο τμήμα ενότητα παράρτημα bölüm ek şekil"
)

# Words that stand where nouns do, but name nothing.
NO_NOUNS = _set(
    "latter former following others whole second present certain several either neither another anything nothing "
    "something everything someone anyone everyone yourself himself herself themselves dernier dernière premier "
    "première seconde autres plupart moindre mutandis"
)
# Endings of adverbs, participles, adjectives and verbs, which make poor blanks.
WEAK_ENDING = (
    "^(?:there|where|here)|(?:ly|ing|ed|able|ible|ful|less|ous|[éeaè]mment|ément|(?<=[aeiou])ment|antes?|ieux|euse|"
    "ième|aient|[ei]rai[st]?|[ei]ront)$"
)
# English words that verbs follow, and those that follow verbs.
BEFORE_VERBS = _set(
    "to will would can could may might must shall should not never do does did don't doesn't didn't i you he she it we "
    "they who which that let us"
)
PRONOUNS = _set("it them him us me you itself themselves himself herself")
AFTER_NOUN = _set(
    "of in to is or at on by as and for was were who which that de du et en est qui où à un und von ist y"
)
ADJECTIVE_ENDING = "(?:al|ic|ive|ous|ful|less|[ai]ble|ary|[ae]nt|ish|[^aeiou]y|er|est|ed|ing|ate)$"

# What Korean attaches to nouns.
KOREAN_PARTICLES = _set(
    "은 는 이 가 을 를 에 의 와 과 로 도 만 께 야 나 요 에서 에게 에는 에도 에만 으로 으로는 으로도 으로써 으로서 로는 "
    "로도 로서 로써 부터 까지 처럼 보다 마다 조차 마저 이나 이다 이며 이고 이라 라는 이라는 이라고 라고 이란 란 에서는 "
    "에서도 에서의 에의 와의 과의 로부터 으로부터 에게서 까지는 까지의 들은 들이 들을 들의 들에 들과 들에게 이었다 "
    "였다 입니다 이지만 지만"
)
