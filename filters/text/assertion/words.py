"""Words by language that deny an answer, doubt it, contrast it with another or take it back; `_` stands for a blank."""

# ruff: noqa: RUF001, E501  (words of other scripts, a language a line)

# Between a subject and the answer: "la respuesta no es 8". Words of scripts with blanks between them.
NEGATIONS = {
    "Spanish": "no nunca tampoco",
    "Portuguese": "não nunca",
    "German": "nicht kein keine keinesfalls niemals",
    "French": "n'est ne pas jamais",
    "Italian": "non mai",
    "Dutch": "niet geen nooit",
    "Swedish, Danish, Norwegian, Icelandic": "inte ikke ikkje aldrig aldri ekki",
    "Finnish, Estonian": "ei eivät pole",
    "Polish, Czech, Slovak": "nie ne není nejest nigdy nemůže nemôže neni",
    "Hungarian": "nem sem nincs",
    "Romanian": "nu",
    "Turkish, Azerbaijani, Kazakh": "değil değildir olamaz deyil емес",
    "Vietnamese": "không chẳng",
    "Indonesian, Malay": "bukan bukanlah tidak",
    "Tagalog": "hindi",
    "Swahili": "si siyo sio",
    "Russian": "не нет нельзя неверно",
    "Ukrainian": "ні неправильно",
    "Bulgarian, Serbian, Croatian, Slovene": "није nije odgovor_ni",
    "Albanian, Lithuanian, Latvian": "nuk nėra nav",
    "Greek": "δεν μην όχι",
    "Arabic": "ليس ليست لا لم لن غير",
    "Persian": "نیست نمی‌باشد نمیباشد",
    "Urdu": "نہیں",
    "Hebrew": "לא אינה אינו איננה איננו",
    "Hindi": "नहीं नही",
    "Bengali": "নয় নয় না নহে",
    "Marathi, Gujarati, Punjabi": "नाही નથી ਨਹੀਂ",
    "Tamil, Telugu, Kannada, Malayalam": "இல்லை அல்ல కాదు ಅಲ್ಲ അല്ല",
    "Catalan, Basque, Afrikaans": "pas ez nie",
    "Georgian, Armenian, Esperanto": "არ არაა չէ ne",
}
# In scripts without blanks, or as endings.
ENDINGS = (
    "不是 并不是 并非 並非 不会是 不可能 不等于 不为 不应 绝不 不存在 不正确 不正確 不对 不對 错误 錯誤 是错的 是錯的 不成立 不能 ではない ではなく ではありません"
    " じゃない でない 間違 誤り 正しくな 正しくあり 不正解 아니 아닙 아님 아닌 틀렸 틀린 오답 ไม่ใช่ ไม่ ผิด"
)
WRONG = {
    "Spanish, Portuguese, Italian": "incorrecto incorrecta incorreto incorreta falso falsa errado errada erróneo errónea erroneo equivocado sbagliato sbagliata scorretto",
    "German, Dutch, Afrikaans": "falsch unrichtig inkorrekt fout onjuist verkeerd",
    "French, Catalan": "faux fausse incorrect incorrecte erroné erronée",
    "Swedish, Danish, Norwegian, Icelandic": "felaktigt fel forkert feil rangt",
    "Finnish, Estonian": "väärin väärä virheellinen on_vale",
    "Polish, Czech, Slovak": "błędna błędne błędny niepoprawna niepoprawne nieprawidłowa nieprawidłowe špatně nesprávná nesprávně nesprávne chybně",
    "Hungarian": "helytelen hibás rossz téves",
    "Romanian, Albanian": "greșit greşit incorect gresit gabim",
    "Russian": "неправильно неправильный неверно неверный неверен неверная ошибочный ошибочно ошибочен",
    "Ukrainian, Bulgarian": "хибно невірно неправильна неправильно грешно невярно погрешно",
    "Serbian, Croatian, Slovene": "pogrešno netačno netočno krivo napačno nepravilno",
    "Lithuanian, Latvian": "neteisinga neteisingas nepareizi nepareiza",
    "Turkish, Azerbaijani": "yanlış yanlıştır yanlışdır hatalı",
    "Vietnamese, Indonesian, Tagalog, Swahili": "salah mali makosa",
    "Arabic, Persian, Urdu, Hebrew": "خطأ خاطئ غلط اشتباه نادرست שגוי שגויה טעות",
    "Hindi, Bengali, Marathi, Gujarati, Punjabi": "गलत ग़लत ভুল चुकीचे चूक ખોટું ખોટો ਗਲਤ",
    "Tamil, Telugu, Kannada, Malayalam": "தவறு தவறானது తప్పు ತಪ್ಪು തെറ്റാണ് തെറ്റ്",
    "Greek, Georgian, Armenian": "λάθος λανθασμένο არასწორია սխալ",
    "Basque, Esperanto, Kazakh": "okerra malĝusta қате",
}
# Words that mean something else in another language before a value, so they count behind one only.
WRONG_AFTER = "sai"
# Languages whose denials follow the answer: "उत्तर 8 नहीं है".
FINAL = (
    "Turkish, Azerbaijani, Kazakh",
    "Persian",
    "Urdu",
    "Hindi",
    "Bengali",
    "Marathi, Gujarati, Punjabi",
    "Tamil, Telugu, Kannada, Malayalam",
)
# What may stand between a word for not and the value that it denies.
COPULAS = (
    "es ser sea será puede pueden igual a é pode seja ist sind kann lautet beträgt gleich sein est sont pas être peut égale égal à è sono essere può uguale"
    " is kan zijn gelijk aan är er vara være kunna vera lik ole voi olla jest są to może być równa równe je jsou být byť může môže lehet egyenlő este sunt poate fi"
    " egal cu phải là thể bằng adalah sama dengan равен равна равно равны может быть является это дорівнює є може бути е бъде biti može јe είναι μπορεί να"
    " هو هي يساوي يكون היא הוא להיות është yra ir és არის ser da estas exactamente exactement genau precies precisamente ang"
)
ANSWERS = (
    "respuesta resultado resposta antwort ergebnis lösung réponse résultat risposta risultato antwoord svar svaret vastaus odpowiedź odpowiedzią wynik odpověď odpoveď"
    " válasz eredmény răspuns răspunsul rezultatul cevap sonuç đáp_án đáp_số kết_quả jawaban jawabannya jawapan jawapannya sagot jibu ответ ответом відповідь відповіддю отговор отговорът"
    " odgovor одговор απάντηση الجواب الإجابة النتيجة پاسخ جواب התשובה उत्तर जवाब উত্তর जवाब જવાબ ਜਵਾਬ விடை సమాధానం ಉತ್ತರ ഉത്തരം resposta_és erantzuna svarið cavab cavabı"
    " answer result"
)
RIGHT = (
    "cierto verdad correcto correcta verdade certo correto wahr richtig korrekt vrai correct exact juste vero corretto giusto waar juist sant rätt sandt rigtigt riktig"
    " totta oikein prawda poprawne pravda správně správne igaz helyes adevărat corect doğru đúng benar betul верно правда правильно верен вірно tačno točno vrijedi"
    " σωστό αλήθεια صحيح صحيحا درست נכון सही সঠিক बरोबर sahihi tama pareizi teisinga correcte zuzena дұрыс"
)
# A contrast after which the value is the right one: "no 7, sino 8".
BUT = "sino mas sondern mais mai ma maar utan men vaan lecz ale nýbrž ale hanem ci а но але değil_, melainkan tetapi mà αλλά بل بلکه אלא बल्कि बल्की কিন্তু বরং kundi bali"
BUT_CJK = "而是 而应是 而應是 ではなく、 ではなく じゃなくて 아니라 แต่เป็น แต่"
# Words of reasons and relative clauses, which begin another clause.
CLAUSES = (
    "porque que pues ya y e weil denn da und der die das parce car qui et poiché perché che omdat want dat en eftersom fordi och og som koska ja ponieważ bo a i protože který"
    " mert aki pentru că și çünkü ve vì và nên karena yang dan потому так что и которые який тому επειδή και لأن و که چون כי و क्योंकि और कि কারণ এবং because which that and"
)
OR = (
    "o u ou o_bien ou_bien oder oder_auch oppure ofwel eller tai lub albo nebo alebo vagy sau veya ya_da hoặc hay atau o_kaya au или либо або чи или ili ή أو یا או या বা किंवा અથવા ਜਾਂ அல்லது లేదా ಅಥವಾ"
    " അല്ലെങ്കിൽ edo või arba vai ali eða apo əvəz немесе ან կամ aŭ"
)
AND = "y e und et ed en og och i oraz a и та ve và dan και و और এবং şi și és ja"
OR_CJK = "或者 或是 还是 還是 或 または もしくは あるいは か 또는 혹은 หรือ"
MAYBE = (
    "podría_ser podria_ser poderia_ser pourrait_être könnte_sein potrebbe_essere zou_kunnen_zijn могло_бы_быть diría_que diria_que je_dirais ich_würde_sagen ich_vermute direi_che ik_vermoed предполагаю "
    "quizás quizá tal_vez talvez vielleicht möglicherweise vermutlich peut-être forse misschien wellicht kanske kanskje måske ehkä chyba možná snad možno возможно"
    " может_быть наверное можливо мабуть belki muhtemelen có_lẽ barangkali labda ίσως ربما لعل شاید احتمالا اולי אולי ייתכן शायद সম্ভবত হয়তো হয়তো adivino supongo ich_rate"
    " je_devine tiro_a_indovinare no_estoy_seguro no_lo_sé não_tenho_certeza não_sei nicht_sicher pas_sûr non_sono_sicuro niet_zeker inte_säker не_уверен не_знаю emin_değilim không_chắc"
    " tidak_yakin nie_jestem_pewien 也许 也許 或许 或許 大概是 我猜 猜测 猜測 不确定 不確定 可能是 可能为 可能等于 たぶん おそらく 多分 恐らく 아마 어쩌면 อาจจะ อาจเป็น"
)
MAYBE_FIRST = "mungkin poate może talán ehk baka"
MAYBE_AFTER = "かもしれ 일지도 일 수도"
BOUNDS = (
    r"(?:mayor|menor|más|menos|superior|inferior|maior|mais|maggiore|minore)\s+(?:que|de|do\s+que|a|di)|(?:größer|kleiner|mehr|weniger)\s+als|(?:plus|moins)\s+(?:grande?|petite?)\s+que"
    r"|(?:supérieure?|inférieure?)\s+à|(?:groter|kleiner|meer|minder)\s+dan|(?:större|mindre|större)\s+än|больше|меньше|більше|menše|větší\s+než"
    r"|答案(?:大于|小于|大於|小於|至少|至多|不超过|超过|高于|低于)(?:是|为)?"
)
WAIT = (
    "espera espere un_momento perdón disculpa desculpe moment warte halt sorry attendez attends pardon désolé aspetta scusa wacht vänta vent hetkinen czekaj počkejte počkaj várj stai"
    " подожди подождите стоп зачекайте bekle khoan khoan_đã tunggu 等等 等一下 抱歉 待って すみません 잠깐 잠깐만 انتظر عفوا صبر_کن रुकिए रुको রুকুন רגע περίμενε เดี๋ยวก่อน wait no"
)
# "This", as the subject of a sentence that takes an answer back.
THIS = (
    "esto eso este isto isso esta das dies dieses es c'est cela ça ceci ce questo questa quello è dit dat det detta dette tämä se to toto tohle ez az este acest asta это этот це bu này điều_này"
    " itu ini هذا هذه این زו זה זו यह ये এটি এটা αυτό นี่ นั่น que sai"
)
THIS_CJK = "นี่ 这 這 那 上面 以上 上述 これ それ 이것 그것 이건"
REASONS = (
    "porque ya_que pues weil denn parce_que car perché poiché omdat want eftersom fordi koska ponieważ bo protože mert pentru_că deoarece çünkü vì karena sebab потому так_как"
    " поскольку тому_що оскільки επειδή γιατί لأن چون כי क्योंकि কারণ"
)
# Verbs behind a value that fails a condition, with their negation; patterns.
FAILS = (
    r"(?:erfüll\w+|genüg\w+|pass\w+|funktionier\w+|lös\w+|gilt|stimmt|geht)\s+(?:[^\W\d]+\s+){0,3}nicht(?!\w)"
    r"|(?:voldoe\w+|klopt|werkt)\s+(?:[^\W\d]+\s+){0,3}niet(?!\w)|(?:uppfyller|opfylder|oppfyller|passar|passer)\s+(?:[^\W\d]+\s+){0,2}(?:inte|ikke)(?!\w)"
    r"|(?:ne\s+(?:vérifie|satisfait|convient|marche|fonctionne)|contredit|contradice|contradiz|widerspricht|противоречит|суперечить)(?!\w)"
    r"|(?:は|が|も)?\s*(?:条件|仮定|与式|題意|方程式)?[をにとは]?(?:満たさ|みたさ|満たして(?:い)?な|合わな|適さな|反する|矛盾)"
    r"|(?:은|는|이|가|도)?\s*(?:조건|식|방정식)?[을를에과와]?\s*(?:만족하지|만족시키지|성립하지|맞지|부합하지|충족하지|모순)"
    r"|[^\d।,.]{0,30}(?:पूरा|संतुष्ट|सही|मान्य)\s+नहीं|(?:[^\W\d]+\s+){0,2}[^\W\d]+(?:mıyor|miyor|muyor|müyor|maz|mez)(?!\w)"
    r"|(?:与|和|同)?[^\d,.。]{0,8}(?:矛盾|不符|不合题意|不满足|不滿足|应舍去|應捨去)|\s*不(?:合|符|满足|滿足)"
)
UNSURE_AFTER = (
    r"no\s+(?:lo\s+he|la\s+he)\s+(?:comprobado|verificado)|no\s+estoy\s+(?:muy\s+|del\s+todo\s+|completamente\s+)?segur|sin\s+certeza|sans\s+(?:certitude|garantie|en\s+être\s+sûr)|senza\s+certezza|ohne\s+gewähr"
    r"|(?:je\s+ne\s+suis|suis)\s+pas\s+(?:tout\s+à\s+fait\s+|très\s+)?(?:sûre?|certaine?)|(?:bin|ist)\s+(?:mir\s+|ich\s+(?:mir\s+)?)?(?:aber\s+)?nicht\s+(?:ganz\s+|völlig\s+)?sicher|não\s+(?:tenho|estou)\s+(?:\w+\s+)?(?:certeza|certo)"
    r"|non\s+(?:ne\s+)?sono\s+(?:\w+\s+)?(?:sicur|cert)|не\s+(?:\w+\s+)?(?:уверен|впевнен)|niet\s+(?:helemaal\s+)?zeker|inte\s+(?:helt\s+)?säker|ikke\s+(?:helt\s+)?sikker|nie\s+jestem\s+(?:\w+\s+)?pew|emin\s+değil|không\s+chắc|tidak\s+yakin"
    r"|不太?确定|不太?確定|没有?把握|沒有?把握|自信が(?:ない|あり)|確信が(?:ない|持て)|확실하지|확신(?:이|할)\s*(?:없|수)|자신(?:이)?\s*없|لست\s+متأكد|مطمئن\s+نیستم|(?:पक्का|यकीन|निश्चित)\s+नहीं|לא\s+בטוח"
)
