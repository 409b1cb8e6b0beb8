"""The marks that end a sentence or a part of one, in every script, and what closes behind them.

Source: the Unicode Character Database's properties Sentence_Terminal and Terminal_Punctuation (PropList.txt) and the
categories Pe and Pf. What only divides words (the Ethiopic word space, the Tibetan tsheg) is apart; `…` ends sentences,
too. Each constant is the inside of a character class of a regular expression.
"""

STOPS = (
    r"!.?…։׃؝؞؟۔܀܁܂߹࠷࠹࠽࠾।॥๚๛༈།-༒။።፧፨᙮᜵᜶។៕៚᠃᠉᥄᥅᪨-᪫᭎᭏᭚᭛᭞᭟᭽-᭿᰻᰼᱾᱿․‼‽⁇-⁉⳹-⳻⸮⸼⹓⹔⹠⹡。꓿꘎꘏꛳꛷꡶꡷꣎꣏꤯꧈꧉꩝-꩟꫰꫱꯫︒︕︖﹒﹖﹗！．？｡"
    "\U00010a56\U00010a57\U00010f55-\U00010f59\U00010f86-\U00010f89\U00011047\U00011048\U000110be-\U000110c1"
    "\U00011141-\U00011143\U000111c5\U000111c6\U000111cd\U000111de\U000111df\U00011238\U00011239\U0001123b\U0001123c"
    "\U000112a9\U000113d4\U000113d5\U0001144b\U0001144c\U000115c2\U000115c3\U000115c9-\U000115d7\U00011641\U00011642"
    "\U0001173c-\U0001173e\U00011944\U00011946\U00011a42\U00011a43\U00011a9b\U00011a9c\U00011c41\U00011c42\U00011ef7"
    "\U00011ef8\U00011f43\U00011f44\U00016a6e\U00016a6f\U00016af5\U00016b37\U00016b38\U00016b44\U00016d6e\U00016d6f"
    "\U00016e98\U0001bc9f\U0001da88"
)
CLAUSES = (
    r":;\u037e\u0387؛܃-܊܌࠰-࠵࠸࠺-࠼࡞፤-፦៖᠄᠅᭝᰽-᰿⹏꛴꛶꧇꫟﹔﹕：；"
    "\U00010857\U00010af0-\U00010af5\U00010b3a-\U00010b3f\U00010b99-\U00010b9c\U00011049-\U0001104d\U0001123a"
    "\U0001144d\U0001145a\U0001145b\U000115c4\U000115c5\U00011aa1\U00011aa2\U00011c43\U00011c71\U00012470-\U00012474"
    "\U00016b39\U00016e97\U0001da87\U0001da89\U0001da8a"
)
COMMAS = r",،߸၊፣᠂᠈⸲⸴⹁⹌⹎、꓾꘍꛵﹐﹑，､"
SPACED = r"!.?…․:;,"  # those that also stand inside of words and numbers: they end something where white space follows
BRACKETS = (
    r")\]}༻༽᚜⁆⁾₎⌉⌋\u232a❩❫❭❯❱❳❵⟆⟧⟩⟫⟭⟯⦄⦆⦈⦊⦌⦎⦐⦒⦔⦖⦘⧙⧛⧽⸣⸥⸧⸩⹖⹘⹚⹜﴾"
    r"〉》」』】〕〗〙〛〞〟︘︶︸︺︼︾﹀﹂﹄﹈﹚﹜﹞）］｝｠｣"
)
WIDE_BRACKETS = r"〉》」』】〕〗〙〛〞〟︘︶︸︺︼︾﹀﹂﹄﹈﹚﹜﹞）］｝｠｣"  # of scripts without spaces
CLOSING_QUOTES = "”’»›"  # in some languages they open, before a word
OPENING_QUOTES = "“‘«‹"  # in some languages they close, after a word
WORD_SPACES = "\u0f0b\u1361\u16eb-\u16ed\u200b\U0001039f\U000103d0\U0001091f"
