"""Sentences of languages but English that only suppose a value: "Soit n = 23. Alors", "x=23のとき、"."""

# ruff: noqa: E501, RUF001  (words of other scripts, a language a line)

import re

from filters.text.assertion.languages import any_of, word

# Before a value, at the start of a sentence; `_` stands for a blank.
SUPPOSE = {
    "Spanish, Catalan": "supongamos supóngase suponga supón supone suponiendo sea sean si consideremos consideramos tomemos tomamos probemos probamos pongamos digamos imaginemos suposem sigui suposa",
    "Portuguese": "suponha suponhamos supondo seja sejam se considere consideremos tome tomemos experimentemos digamos admita admitamos",
    "French": "soit soient supposons supposez supposant posons prenons considérons essayons imaginons admettons si",
    "Italian": "sia siano supponiamo supponendo supponi poniamo prendiamo consideriamo proviamo assumiamo ammettiamo se",
    "German": "sei seien angenommen nehmen_wir_an nimm_an nehme_an betrachten_wir betrachte setzen_wir setze wir_setzen wähle wählen_wir probieren_wir versuchen_wir falls wenn gelte",
    "Dutch, Afrikaans": "stel neem neem_aan laat beschouw probeer als veronderstel gestel",
    "Swedish, Danish, Norwegian, Icelandic": "antag antag_att låt anta anta_at antag_at lad vi_antar hvis betrakta sätt gitt gerum_ráð_fyrir",
    "Finnish, Estonian": "oletetaan olkoon jos kokeillaan oletame olgu kui",
    "Polish": "niech załóżmy załóżmy_że przypuśćmy rozważmy weźmy jeśli jeżeli zakładając podstawmy",
    "Czech, Slovak": "nechť předpokládejme ať mějme uvažujme zvolme pokud nech predpokladajme uvažujme ak",
    "Hungarian": "legyen tegyük_fel tegyük_fel_hogy ha vegyük",
    "Romanian": "fie să_presupunem presupunem dacă să_luăm luăm considerăm",
    "Turkish, Azerbaijani": "diyelim_ki varsayalım varsayalım_ki farz_edelim farz_edelim_ki eğer tutaq_ki fərz_edək",
    "Vietnamese": "giả_sử đặt nếu xét thử gọi lấy",
    "Indonesian, Malay, Tagalog, Swahili": "misalkan andaikan anggap anggaplah jika ambil katakan biarkan ipagpalagay kung tuseme kama",
    "Russian": "пусть предположим допустим положим возьмём возьмем рассмотрим если попробуем подставим подставив",
    "Ukrainian, Bulgarian": "нехай припустимо розглянемо візьмемо якщо нека да_допуснем ако",
    "Serbian, Croatian, Slovene": "neka pretpostavimo ako uzmimo naj_bo recimo нека претпоставимо",
    "Lithuanian, Latvian, Albanian": "tarkime tegu jei pieņemsim lai ja supozojmë le_të_jetë",
    "Greek": "έστω ας_υποθέσουμε υποθέτουμε αν θεωρούμε",
    "Arabic, Persian, Urdu": "لنفرض لنفترض افترض بفرض ليكن ليكن_لدينا إذا_كان إذا_كانت إذا عندما نفرض فرض_کنید فرض_کنیم فرض اگر بگذارید فرض_کریں فرض_کرو",
    "Hebrew": "נניח יהי תהי אם",
    "Hindi, Marathi, Bengali": "मान_लीजिए मान_लें मान_लो मानिए माना यदि अगर समजा ধরি ধরা_যাক মনে_করি যদি",
    "Tamil, Telugu, Gujarati": "என்க ఒకవేళ ધારો_કે",
    "Georgian, Armenian": "ვთქვათ დავუშვათ ենթադրենք",
}
JOINED = "y e und et ed en og och i a и та và dan entonces luego ahora alors maintenant ora adesso jetzt nun nu teraz nyní агора теперь тогда bây_giờ sekarang şimdi agora então primero primeiro d'abord prima zuerst сначала"
# "For n = 23": before an equation only.
FOR = "para per pour avec für mit voor för för til dla pro pentru için với cho untuk dengan для при за για ל من_أجل के_लिए com con med"
CJK_SUPPOSE = "假设 假定 不妨设 不妨令 若 如果 假如 仮に もし สมมติ ถ้า 만약 가령"
CJK_LET = "设 設 令 当 當 取 试 試 考虑 考慮 把 将 將 代入 ให้"  # before an equation only
CJK_JOINED = "接下来 接着 接著 下面 然后 現在 现在 首先 先 再 我们 我們 那么 于是 可以 尝试 嘗試 来 次に まず ここで 이제 먼저 다음으로"
VALUE = r"[-\u2212]?\d[\d.,/]*"
NO_VALUE_AFTER = r"[^\d]*$"  # a second value may be a conclusion
EQUATION = r"[^\W\d]{1,2}\s*=\s*"
BEFORE = re.compile(
    rf"^\W*(?:{word(JOINED)}[\s,]+)*(?:{word(' '.join(SUPPOSE.values()))}[,:]?[^\d,;:]{{0,40}}|{word(FOR)}[\s$(\\]*{EQUATION}"
    rf"|(?:(?:{any_of(CJK_JOINED)})[,、\s]*)*(?:(?:{any_of(CJK_SUPPOSE)})[^\d,;:]{{0,40}}|(?:{any_of(CJK_LET)})[\s$]*(?:{EQUATION}|答案(?:为|是))))"
    rf"{VALUE}{NO_VALUE_AFTER}",
    re.IGNORECASE,
)
# Behind a value.
AFTER = re.compile(
    rf"{VALUE}[\s$)\\\]]*(?:(?:と(?:仮定|すると|すれば|する|おく|おいて|置)|を(?:代入|考え|試)|ならば|であれば)|(?:이|가)?라?(?:고)?\s*(?:가정|하자|하면|두자|두면|놓자|놓으면)|(?:을|를)\s*(?:대입|생각|고려)"
    rf"|代入|的情形|的情况|的情況|olsun|olduğunu\s+varsay|हो(?:\s*तो)?[\s,]*$|(?:のとき|の場合|일\s*때|인\s*경우|이면|면|时|時|のときは|ise)[\s,，、]*$){NO_VALUE_AFTER}",
    re.IGNORECASE,
)
# A first word of a sentence that goes no further: "Alors", "Dann gilt", "тогда получаем".
DANGLING = re.compile(
    rf"(?:^|[.,;:!?\n，。、\s])(?:{any_of('alors donc d_où d’où entonces luego então logo portanto allora quindi dann dann_gilt dan dus då så da wtedy zatem potom tedy akkor atunci o_halde maka тогда значит тоді следователно تب إذن פא khi_đó ta_có tenemos temos abbiamo nous_avons on_a wir_haben получаем имеем 则 則 得 那么 那麼 所以 因此 我们 我們 于是 そこで したがって よって すると 그러면 따라서 तब तो')}|d['\u2019]où)[\s,，:：…]*$",
    re.IGNORECASE,
)


def supposes(sentence: str) -> bool:
    """Return whether a sentence of a language but English names its only value to look at it."""
    return BEFORE.search(sentence) is not None or (not sentence.isascii() and AFTER.search(sentence) is not None)


def breaks_off(tail: str) -> bool:
    """Return whether a text ends in the first words of a sentence that would draw a conclusion."""
    return DANGLING.search(tail) is not None
