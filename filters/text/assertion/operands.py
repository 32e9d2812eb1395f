"""Words next to a box that make it a bound or an operand: "at most [8]", "twice [8]", "[8] squared", "[8]的两倍".

The words are looked up in sets, so a text without any of them costs a few string operations.
"""

# ruff: noqa: E501, RUF001  (words of other scripts, a language a line)

import re

LONGEST = 5  # words of the longest entry
NEAR_CHARS = 60
OPENED = " \t\n$*([\"'«“„\\"  # what may stand between a word and a box
CLOSED = " \t$*)_}]\\"


def phrases(listed: str) -> frozenset[str]:
    """Return the words of a list; `_` stands for a blank."""
    return frozenset(word.replace("_", " ") for word in listed.split())


def endings(listed: str) -> tuple[str, ...]:
    """Return the words of a list in a script without blanks."""
    return tuple(listed.split())


# Words before a box that make it a bound. "At least" and "at most" are in LIMITS: they also state a minimum or a maximum.
BOUND_BEFORE = phrases(
    "up_to is_over are_over was_over were_over be_over is_under are_under was_under be_under is_above are_above be_above is_below are_below be_below      exceeding exceeds exceed an_upper_bound_is a_lower_bound_is an_upper_bound_of a_lower_bound_of"
    " more_than less_than greater_than fewer_than smaller_than larger_than bigger_than not_exceed not_exceeding near something_like"
    " is_bounded_by no_more_than no_less_than no_fewer_than not_more_than not_less_than"
    # Spanish, Portuguese, Italian, Catalan
    " al_menos por_lo_menos como_mínimo como_máximo como_mucho a_lo_sumo más_de menos_de mayor_que menor_que mayor_o_igual_que mayor_o_igual_a menor_o_igual_que menor_o_igual_a"
    " superior_a inferior_a no_más_de no_menos_de  pelo_menos ao_menos no_mínimo no_máximo mais_de mais_que menos_que mais_do_que menos_do_que maior_que maior_do_que menor_do_que"
    " maior_ou_igual_a menor_ou_igual_a  almeno come_minimo al_massimo al_più più_di meno_di maggiore_di minore_di non_più_di non_meno_di  superiore_a inferiore_a"
    " maggiore_o_uguale_a minore_o_uguale_a almenys com_a_mínim com_a_màxim més_de menys_de"
    # French
    " au_moins au_plus au_maximum au_minimum plus_de moins_de plus_grand_que plus_petit_que plus_grande_que plus_petite_que supérieur_à supérieure_à inférieur_à inférieure_à"
    " supérieur_ou_égal_à supérieure_ou_égale_à inférieur_ou_égal_à inférieure_ou_égale_à pas_plus_de "
    # German, Dutch, Afrikaans, Swedish, Danish, Norwegian, Icelandic
    " mindestens höchstens maximal minimal wenigstens größer_als kleiner_als mehr_als weniger_als größer_gleich kleiner_gleich größer_oder_gleich kleiner_oder_gleich bis_zu nicht_mehr_als  "
    " minstens ten_minste tenminste hoogstens ten_hoogste maximaal minimaal meer_dan minder_dan groter_dan kleiner_dan groter_of_gelijk_aan kleiner_of_gelijk_aan niet_meer_dan"
    " minst högst åtminstone mer_än fler_än mindre_än färre_än större_än mindst højst mere_end mindre_end større_end høyst minst_lik mer_enn mindre_enn større_enn að_minnsta_kosti í_mesta_lagi meira_en minna_en"
    # Finnish, Estonian, Hungarian, Polish, Czech, Slovak, Romanian
    " vähintään enintään korkeintaan enemmän_kuin vähemmän_kuin suurempi_kuin pienempi_kuin   vähemalt kõige_rohkem ülimalt rohkem_kui vähem_kui suurem_kui väiksem_kui"
    " legalább legfeljebb több_mint kevesebb_mint nagyobb_mint kisebb_mint co_najmniej przynajmniej co_najwyżej więcej_niż mniej_niż większa_niż mniejsza_niż większy_niż mniejszy_niż ponad poniżej nie_więcej_niż nie_mniej_niż"
    " alespoň nejméně nejvýše nanejvýš více_než méně_než větší_než menší_než aspoň najmenej nanajvýš najviac viac_ako menej_ako väčšie_ako menšie_ako cel_puțin cel_mult mai_mult_de mai_mare_decât mai_mic_decât mai_puțin_de"
    # Turkish, Azerbaijani, Vietnamese, Indonesian, Malay, Tagalog, Swahili
    " en_az en_fazla en_çok ən_azı ən_çoxu ən_çox ít_nhất nhiều_nhất tối_thiểu tối_đa lớn_hơn nhỏ_hơn nhiều_hơn ít_hơn lớn_hơn_hoặc_bằng nhỏ_hơn_hoặc_bằng không_quá  "
    " paling_sedikit paling_banyak setidaknya sekurang-kurangnya sebanyak-banyaknya lebih_dari lebih_besar_dari kurang_dari lebih_kecil_dari lebih_besar_daripada lebih_daripada kurang_daripada hindi_bababa_sa hindi_hihigit_sa higit_sa angalau zaidi_ya chini_ya"
    # Russian, Ukrainian, Bulgarian, Serbian, Croatian, Slovene
    " не_менее не_более не_меньше не_больше больше меньше больше_чем меньше_чем более менее свыше как_минимум как_максимум по_крайней_мере не_превосходит не_превышает превышает "
    " не_менше не_більше більше менше щонайменше щонайбільше принаймні поне най-много най-малко повече_от по-малко_от по-голямо_от najmanje barem najviše više_od manje_od veće_od najmanj največ več_kot manj_kot večje_od бар највише најмање"
    # Lithuanian, Latvian, Albanian, Greek, Georgian, Armenian
    " bent ne_mažiau_kaip ne_daugiau_kaip daugiau_nei mažiau_nei vismaz ne_vairāk_kā vairāk_nekā mazāk_nekā të_paktën së_paku e_shumta më_shumë_se më_pak_se τουλάχιστον το_πολύ μεγαλύτερο_από μικρότερο_από περισσότερο_από λιγότερο_από მინიმუმ მაქსიმუმ առնվազն առավելագույնը"
    # Arabic, Persian, Urdu, Hebrew
    " على_الأقل على_الأكثر أكبر_من أقل_من أصغر_من أكثر_من لا_يقل_عن لا_يزيد_عن حداقل حداکثر دست_کم بیشتر_از کمتر_از بزرگتر_از کوچکتر_از کم_از_کم زیادہ_سے_زیادہ לפחות לכל_היותר יותר_מ גדול_מ קטן_מ פחות_מ"
    # Hindi, Marathi, Bengali, Gujarati, Punjabi, Tamil, Telugu
    " कम_से_कम अधिक_से_अधिक अधिकतम न्यूनतम ज़्यादा_से_ज़्यादा किमान जास्तीत_जास्त कमीत_कमी কমপক্ষে অন্তত সর্বাধিক সর্বোচ্চ ઓછામાં_ઓછું ઓછામાં_ઓછા વધુમાં_વધુ ਘੱਟੋ-ਘੱਟ ਵੱਧ_ਤੋਂ_ਵੱਧ குறைந்தது குறைந்தபட்சம் அதிகபட்சம் కనీసం గరిష్టంగా"
    # Korean
    " 적어도 최소 최소한 최대 많아야 기껏해야"
)
LIMITS = phrases(
    "at_least at_most al_menos por_lo_menos como_mínimo como_máximo como_mucho a_lo_sumo pelo_menos ao_menos no_mínimo no_máximo almeno al_massimo al_più au_moins au_plus au_maximum au_minimum"
    " mindestens höchstens maximal minimal wenigstens minstens hoogstens ten_minste tenminste maximaal minimaal minst högst åtminstone mindst højst høyst vähintään enintään korkeintaan legalább legfeljebb"
    " co_najmniej przynajmniej co_najwyżej alespoň nejméně nejvýše aspoň najmenej najviac cel_puțin cel_mult en_az en_fazla en_çok ən_azı ən_çox ít_nhất nhiều_nhất tối_thiểu tối_đa paling_sedikit paling_banyak setidaknya"
    " не_менее не_более не_меньше не_больше как_минимум по_крайней_мере не_менше не_більше щонайменше щонайбільше поне најмање najmanje najviše τουλάχιστον το_πολύ على_الأقل على_الأكثر حداقل حداکثر לפחות לכל_היותר"
    " कम_से_कम अधिक_से_अधिक अधिकतम न्यूनतम किमान কমপক্ষে অন্তত সর্বাধিক সর্বোচ্চ குறைந்தது அதிகபட்சம் కనీసం గరిష్టంగా 적어도 최소 최소한 최대 많아야"
)
# A question for a minimum or a maximum is answered like this: "you need at least [8]".
NEEDED = re.compile(
    r"\b(?:need\w*|must|requires?|required|necessary|takes?|should|has\s+to|have\s+to|suffic\w+|guarantee\w*|ensur\w+|can|could|necesit\w+|debe\w*|pued\w+|precis\w+|dev\w+|pod\w+|serv\w+|bisogna|può|possono"
    r"|faut|doi\w+|besoin|nécessaire\w*|peu[tvx]\w*|brauch\w*|benötig\w*|müss\w+|muss|nötig|notwendig|kann|können|nodig|moet\w*|behöv\w+|tarvit\w+|szükséges|kell|potrzeb\w*|musi\w*|potřeb\w*|gerek\w*|cần|perlu|harus"
    r"|нужн\w*|надо|необходим\w*|потребу\w+|требу\w+|может|можно|потрібн\w*|треба)\b|चाहिए|आवश्यक|需|必须|必須|才能|可以|必要|필요|있",
    re.IGNORECASE,
)
# Words before a box that take it as an operand, or leave it out.
OPERAND_BEFORE = phrases(
    "twice thrice is_double is_triple is_quadruple half half_of one-half_of a_third_of one_third_of one-third_of a_quarter_of one_quarter_of one-quarter_of double_of the_square_of the_cube_of"
    " square_root_of cube_root_of fourth_root_of the_reciprocal_of reciprocal_of the_inverse_of the_opposite_of the_negative_of factorial_of logarithm_of log_of cosine_of sine_of absolute_value_of"
    " or_equal_to to_the_power_of e_to_the root_of_the_number a_multiple_of percent_of %_of minus negative modulo mod when_divided_by answer_is_divisible_by retract withdraw without all_numbers_except all_integers_except all_values_except numbers_except integers_except all_but excluding"
    # Spanish, Portuguese, Italian, Catalan
    " doble_de el_triple_de mitad_de un_tercio_de cuarta_parte_de el_cuadrado_de el_cubo_de raíz_de raíz_cuadrada_de raíz_cúbica_de inverso_de recíproco_de opuesto_de menos negativo salvo excepto"
    " dobro_de triplo_de metade_de um_terço_de o_quadrado_de o_cubo_de raiz_de raiz_quadrada_de raiz_cúbica_de exceto doppio_di triplo_di metà_di un_terzo_di il_quadrato_di il_cubo_di radice_di radice_quadrata_di reciproco_di opposto_di meno tranne eccetto meitat_de arrel_quadrada_de"
    # French
    " le_double_de le_triple_de moitié_de le_tiers_de le_quart_de le_carré_de le_cube_de racine_de racine_carrée_de racine_cubique_de inverse_de l'inverse_de opposé_de l'opposé_de moins sauf"
    # German, Dutch, Swedish, Danish, Norwegian
    " doppelte_von dreifache_von zweifache_von hälfte_von drittel_von viertel_von quadrat_von wurzel_von wurzel_aus quadratwurzel_von quadratwurzel_aus kubikwurzel_aus kehrwert_von zweimal dreimal mal außer"
    " dubbele_van helft_van kwadraat_van wortel_van vierkantswortel_van behalve dubbla_av hälften_av kvadraten_på kvadratroten_ur roten_ur dobbelte_af halvdelen_af kvadratroden_af dobbelte_av kvadratroten_av utom undtagen unntatt"
    # Polish, Czech, Slovak, Hungarian, Romanian, Finnish
    " podwojona podwojone dwukrotność połowa połowę pierwiastek_z odwrotność oprócz dvojnásobek polovina polovinu odmocnina_z mínus polovica mínusz kétszer dublul_lui jumătate_din jumătatea_lui rădăcina_din pătratul_lui miinus kaksi_kertaa"
    # Turkish, Vietnamese, Indonesian
    " eksi gấp_đôi một_nửa_của nửa_của bình_phương_của căn_bậc_hai_của âm trừ hai_lần dua_kali tiga_kali setengah_dari separuh_dari kuadrat_dari akar_dari akar_kuadrat_dari negatif kecuali"
    # Russian, Ukrainian, Bulgarian, Serbian
    " минус удвоенное утроенное удвоенный дважды трижды половина половину корень_из квадратный_корень_из обратное_к кроме мінус подвоєне двічі корінь_з квадратний_корінь_з крім удвоеното половината_от корен_от osim koren_iz polovina_od"
    # Greek, Arabic, Persian, Hebrew, Hindi, Bengali, Korean
    " μείον διπλάσιο_του μισό_του ρίζα_του ضعف نصف ربع سالب ناقص الجذر_التربيعي_ل منفی منهای دوگنا פעמיים כפול חצי_מ מינוס ऋणात्मक माइनस बिना মাইনাস ঋণাত্মক 마이너스 음수"
)
BOUND_ENDING = endings(
    "不超过 不超過 不少于 不少於 不多于 不多於 不小于 不小於 不大于 不大於 不低于 不高于 大于 大於 小于 小於 大于等于 小于等于 大于或等于 小于或等于 超过 超過 多于 多於 少于 少於"
    " 高于 低于 不足 不到 接近 接近于 ไม่เกิน มากกว่า น้อยกว่า"
)
LIMIT_ENDING = endings(
    "至少 至少是 至少为 最多 最多是 最多为 至多 至多是 至多为 少なくとも 多くとも 最大で 最低でも อย่างน้อย อย่างมาก"
)
OPERAND_ENDING = endings("排除 除了 除去 负 負 根号 根號 マイナス ルート ลบ")
# Right behind a box.
BOUND_AFTER = phrases(
    "이상 이하 초과 미만 이상이다 이하이다 이상입니다 이하입니다 미만이다 미만입니다 초과이다 o_más o_menos ou_mais ou_menos o_più o_meno oder_mehr oder_weniger ou_plus ou_moins или_больше или_меньше или_более"
)
OPERAND_AFTER = phrases(
    "factorial and_a_half hundred_and thousand_and al_cuadrado al_cubo ao_quadrado ao_cubo al_quadrato au_carré au_cube zum_quadrat hoch_zwei im_quadrat в_квадрате в_кубе do_kwadratu na_druhou"
    " out_of in_base_2 in_base_3 in_base_4 in_base_5 in_base_6 in_base_7 in_base_8 in_base_9 in_base_11 in_base_12 in_base_16 in_binary in_octal in_hexadecimal"
)
BOUND_STARTING = endings("以上 以下 以内 未満 より大 より小 より多 より少 を超え を下回 보다 이상 이하 초과 미만")
OPERAND_STARTING = endings(
    "的平方 的立方 的两倍 的兩倍 的二倍 的三倍 的四倍 的一半 的倒数 的倒數 的相反数 的算术平方根 的阶乘 的负 的三分之 的四分之 的二分之 的百分之 の半分 の二乗 の三乗 の平方根 の逆数 の二倍 の三倍 の階乗"
)
KOREAN_AFTER = re.compile(r"의\s*(?:\d+\s*배|두\s*배|세\s*배|절반|제곱|역수|반)")
CJK_OF = re.compile(r"的\s*\$?\s*\d+(?:/\d+)?\s*\$?\s*(?:倍|次方|分之)|の\s*\$?\s*\d+\s*\$?\s*(?:倍|乗|分の)")
POWER = re.compile(r"(?:squared|cubed)\b(?!\s+[a-z])", re.IGNORECASE)  # "squared units" is a unit
STOP = re.compile(r"[.!?\u3002]")
# With a number behind it: "[8] plus 4", "[8] divided by 4".
CALCULATED_AFTER = re.compile(
    r"(?:times|plus|minus|divided\s+by|multiplied\s+by|modulo|mod|más|menos|dividido\s+(?:por|entre)|mais|più|meno|diviso\s+per|moins|fois|divisé\s+par|mal|geteilt\s+durch|mínus"
    r"|плюс|минус|умножить\s+на|разделить\s+на|乘以|除以|加上|减去|かける|割る|足す|引く)\s*(?:\$|\\\()?\s*-?\d|:\d|point\s+\d",
    re.IGNORECASE,
)
# "1 in [8]", "3 out of [8]"; "the answer is [8] more than Bob's".
CALCULATED_BEFORE = re.compile(
    r"(?:[\d}$)]|\b(?:two|three|four|five|ten)|\banswer(?:\s+is)?)\s*(?:times|plus|multiplied\s+by|divided\s+by|più|fois|mal|плюс)$",
    re.IGNORECASE,
)
NEAR_SIGN = 6
CALCULATING = frozenset(
    ("in", "of", "and", "to", "by", "times", "plus", "più", "fois", "mal", "плюс")
)  # their last words
# "between 3 and [8]", "the sum of 3 and [8]", "is 3 to [8]".
PAIRED = re.compile(
    r"(?:\b(?:between|sum\s+of|product\s+of|difference\s+(?:of|between)|ratio\s+of)\s+[$\\(]*-?\d+[$\\)]*\s+(?:and|to)|\bis\s+\d+\s+to)$",
    re.IGNORECASE,
)
SIGN_BEFORE = re.compile(r"(?:[\u2265\u2264\u2a7e\u2a7d\u2260\u221b\u221c]|分之)$")
SIGN_AFTER = re.compile(
    r"[\u00b2\u00b3\u00b9\u2074-\u2079\u00bc-\u00be\u2153-\u215e]|e[+-]?\d|x\s*10\s*\^|(?:\.\.+|[\u2013~至到])\s*-?\d|分之|个百分点|(?:th|st|nd|rd)\s+(?:prime|power|root)\b"
)
ONE_IN = re.compile(r"(?:\b(?:is|of)\s+\$?(?:1|one)\$?\s+in|(?<![\w.])(?:one|\d+)[$)\\]*\s+out\s+of)$", re.IGNORECASE)
ANSWER_IS = re.compile(r"\banswer\s+is$", re.IGNORECASE)
MORE_THAN = re.compile(r"(?:more|less|fewer|greater|smaller)\s+than\b", re.IGNORECASE)
# A sign outside the dollars: "-$[8]$", "$x = -$ $[8]$", "$\sqrt{}$[8]". One that a blank follows is a dash.
SIGN_OUTSIDE = re.compile(
    r"(?:^|[\s(=:$])[-\u2212\u2013](?:\$\s?)?(?:\$\$?|\\\(|\*\*)?$|-\$\s\$$|\\sqrt\s*(?:\{\})?\s*\$\s*\$?$|(?:\bis\s+|[=$(]\s*)\d+:(?:\$|\\\()?$"
)
SIGN_CHARS, SIGNS = 16, ("-", ":", "\u2212", "\u2013", "sqrt")
WHOLE = re.compile(r"-?\d+")
EQUALS = re.compile(r"\s*=\s*(-?\d+)\s*(?:\$|\\[)\]]|\.?\s*$)")


def limited(before: str, after: str) -> bool:
    """Return whether the words next to a box make it a bound of the answer, or an operand of another value."""
    near = before[-NEAR_CHARS:].rpartition("\n\n")[2]
    tail = after[:NEAR_CHARS].partition("\n")[0].lstrip(CLOSED)
    head = near.rstrip(OPENED)
    return stands_before(head, near, after[:NEAR_CHARS]) or (bool(tail) and stands_after(head, tail))


def stands_before(head: str, before: str, after: str) -> bool:
    """Return whether the words before a box make it a bound or an operand."""
    words = head.lower().replace("\u2019", "'").rsplit(maxsplit=LONGEST)[-LONGEST:]
    lasts = {" ".join(words[place:]).lstrip("($*\"'\u201c\u00bf\u00a1") for place in range(len(words))}
    if not lasts.isdisjoint(LIMITS) or (not head.isascii() and head.endswith(LIMIT_ENDING)):
        return NEEDED.search(before) is None and NEEDED.search(STOP.split(after, maxsplit=1)[0]) is None
    if not lasts.isdisjoint(BOUND_BEFORE) or not lasts.isdisjoint(OPERAND_BEFORE):
        return True
    if not head.isascii() and head.endswith(BOUND_ENDING + OPERAND_ENDING):
        return True
    if SIGN_BEFORE.search(head[-NEAR_SIGN:]):
        return True
    if not words or words[-1] not in CALCULATING:
        return False
    return any(pattern.search(head) for pattern in (ONE_IN, CALCULATED_BEFORE, PAIRED))


def stands_after(head: str, tail: str) -> bool:
    """Return whether the words behind a box make it a bound or an operand."""
    words = tail.lower().split(maxsplit=LONGEST)[:LONGEST]
    firsts = {" ".join(words[: place + 1]).rstrip(".,;:!)\u3002") for place in range(len(words))}
    if (
        not firsts.isdisjoint(BOUND_AFTER)
        or not firsts.isdisjoint(OPERAND_AFTER)
        or POWER.match(tail)
        or SIGN_AFTER.match(tail)
    ):
        return True
    if not tail.isascii() and (
        tail.startswith(BOUND_STARTING + OPERAND_STARTING) or KOREAN_AFTER.match(tail) or CJK_OF.match(tail)
    ):
        return True
    if MORE_THAN.match(tail):
        return ANSWER_IS.search(head) is not None
    return CALCULATED_AFTER.match(tail) is not None


def signed_outside(before: str) -> bool:
    """Return whether a minus or a root stands before the dollars around a box."""
    near = before[-SIGN_CHARS:].rpartition("\n")[2]
    return any(sign in near for sign in SIGNS) and SIGN_OUTSIDE.search(near) is not None


def equated(marked: str, after: str) -> bool:
    """Return whether a box with an integer is called equal to another integer: "[23] = 24"."""
    match = EQUALS.match(after[:NEAR_CHARS]) if WHOLE.fullmatch(marked) else None
    return match is not None and int(match[1]) != int(marked)
