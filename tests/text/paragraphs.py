"""Two paragraphs in each of many languages, the first of them begins with a line of its own."""

ENGLISH = """The café on the corner opened its doors at seven o’clock, as it had for thirty years.
Mrs Harcourt – the owner’s widow – still baked the “petits fours” herself, and she charged £3 for each of them. Nobody complained, because they were worth every penny. In winter the windows were steamed over, and the regulars sat so close together that one could hardly turn a page of the newspaper.

When the new road was built, the naïve young engineer had promised that nothing would change. “It’s only a temporary façade,” he said. The fiancé of the baker’s daughter didn’t believe him, and he was right: the dust settled on everything – on the cakes, on the cups, and on the old piano that nobody played any more."""

FRENCH = """Dès que l'été revenait, les élèves de la petite école se réunissaient près de la rivière.
Leur maître, un homme âgé à la voix très douce, leur apprenait à reconnaître les oiseaux d'après leur chant. Il connaissait chaque sentier de la forêt, et personne ne s'était jamais égaré avec lui. Le soir, on rentrait fatigué mais heureux, les poches pleines de châtaignes et de pierres étranges.

Un jour, pourtant, le vieux maître ne vint pas. On apprit qu'il était tombé malade pendant la nuit, et que sa sœur l'avait emmené à l'hôpital de la ville voisine. Les enfants décidèrent de lui écrire une lettre où ils racontaient tout ce qu'ils avaient découvert : un nid, une grenouille bleuâtre, des traces dans la boue. Il répondit à chacun d'eux, et ce fut leur plus belle leçon de français. Cela coûta à peine 5 €."""

GERMAN = """Früher fuhr die Straßenbahn noch über die schmale Brücke bis zum großen Marktplatz.
Dort standen die Händler schon vor Sonnenaufgang und riefen die Preise für Äpfel, Möhren und Käse aus. Meine Großmutter kaufte immer bei derselben Frau, weil sie behauptete, dass nur deren Eier wirklich frisch wären. Später gingen wir gemeinsam durch die engen Gässchen zurück und hörten den Glocken zu.

Heute ist alles ganz anders geworden. Die Brücke wurde vor zehn Jahren gesperrt, und für die Züge hat man einen Tunnel gebaut. Natürlich spart man dadurch Zeit, aber den Fluss sieht man nicht mehr. Wer möchte, kann abends über den schönen Uferweg laufen und sich vorstellen, wie die Wagen quietschend um die Ecke bogen. Übrig geblieben sind nur ein paar rostige Schienen."""

SPANISH = """El señor Núñez llegó a la estación mucho después de que el último tren hubiera salido.
¿Qué podía hacer? No había ningún taxi, llovía sin parar y su teléfono se había quedado sin batería. Caminó hasta el pequeño hotel que está detrás de la iglesia, donde una mujer le ofreció una habitación y un café caliente. Él le explicó que mañana tenía una reunión importante en la compañía.

A la mañana siguiente el sol brillaba sobre los tejados. El señor desayunó pan con aceite, pagó la habitación y preguntó cuál era el camino más corto. ¡Qué sorpresa! La mujer era la hermana de su jefe, y también viajaba hacia allí. Subieron juntos al autobús y hablaron de los años en que la ciudad todavía tenía jardines, niños en las calles y música en cada rincón."""

POLISH = """Jeszcze przed świtem rybacy wypłynęli łodziami na spokojne jezioro, żeby zdążyć przed burzą.
Najstarszy z nich, który łowił tu od pięćdziesięciu lat, wiedział dokładnie, gdzie należy zarzucić sieć. Mówił mało, ale każdy słuchał go z uwagą. Gdy słońce wzeszło nad lasem, mieli już pełne kosze ryb i mogli wracać do domu, gdzie czekały na nich gorąca zupa i świeży chleb.

Wieczorem przyszła jednak wielka burza. Wiatr łamał gałęzie, a woda sięgała aż do progów najniższych chałup. Ludzie zebrali się w kościele i śpiewali, żeby nie słyszeć grzmotów. Dopiero następnego dnia okazało się, że nikomu nic się nie stało. Zginęła tylko jedna łódź, ta najmniejsza, którą chłopcy zbudowali sami w zeszłym roku. Postanowili więc, że zbudują następną, jeszcze większą i piękniejszą."""

CZECH = """Když přišel podzim, začali jsme každé ráno chodit pěšky přes kopec až do vedlejší vesnice.
Cesta vedla kolem starého mlýna, ve kterém už dávno nikdo nežil. Říkalo se, že tam v noci svítí světlo, ale žádný z nás ho nikdy neviděl. Můj bratr tvrdil, že je to jen měsíc, který se odráží v rybníce. Přesto jsme vždycky trochu zrychlili, jakmile jsme zahlédli jeho střechu mezi stromy.

Jednou jsme se ale rozhodli, že se podíváme dovnitř. Dveře byly otevřené a na stole ležela kniha, celá pokrytá prachem. Někdo do ní zapisoval počasí, den po dni, po dobu více než čtyřiceti let. Poslední záznam byl z loňské zimy. Vzali jsme ji s sebou a ukázali učiteli, který řekl, že je to velmi cenný objev. Dnes leží v muzeu a každý si ji může přečíst."""

HUNGARIAN = """Az öreg kertész minden reggel megöntözte a rózsákat, mielőtt a többiek fölébredtek volna.
A kert végében állt egy hatalmas diófa, amely alatt nyáron mindig hűvös volt. Itt szoktak összegyűlni a szomszédok, hogy megbeszéljék, mi történt a faluban. Az asszonyok süteményt hoztak, a férfiak pedig bort, és késő estig lehetett hallani a nevetésüket. A gyerekek közben a bokrok között bújócskáztak.

Egy őszi napon azonban erős szél támadt, és kidöntötte a diófát. Senki sem sérült meg, de mindenki szomorú volt, mert úgy érezték, hogy egy régi barátot vesztettek el. Az öreg kertész azt mondta, hogy a törzséből asztalt fog készíteni. Egész télen dolgozott rajta a műhelyében. Tavasszal a hosszú asztal ott állt a fa helyén, és körülötte újra együtt ült az egész utca."""

ROMANIAN = """În fiecare dimineață bătrânul învăța copiii să citească, așezat pe aceeași bancă de lângă fântână.
Oamenii din sat spuneau că știe mai multe povești decât sunt stele pe cer. Uneori întârziau acasă, pentru că nimeni nu voia să plece înainte de sfârșit. Mamele îi chemau la masă, dar și ele se opreau să asculte. Așa a trecut vara, fără ca cineva să bage de seamă cât de repede se făcea noapte.

Când a venit toamna, școala cea nouă a fost gata și copiii au primit cărți frumoase. Totuși, după lecții se întorceau la fântână, fiindcă poveștile bătrânului nu erau scrise nicăieri. Atunci învățătoarea a hotărât să le pună pe hârtie. A umplut trei caiete până în primăvară, iar astăzi ele se află în biblioteca orașului, unde oricine le poate împrumuta și citi în liniște."""

CROATIAN = """Svake večeri šetali smo uz obalu sve do maloga svjetionika, gdje je živio čuvar sa svojom kćeri.
Ona je znala imena svih riba i često nam je pričala o olujama koje su potapale brodove. Nismo joj uvijek vjerovali, ali smo voljeli slušati. Kad bi sunce zašlo, čuvar bi upalio svjetlo, a mi bismo žurili kući, jer su nas roditelji već čekali za večerom. More je tada bilo mirno i tamno.

Sljedećega ljeta svjetionik je bio zatvoren. Rekli su nam da sada sve radi računalo i da više nitko ne mora ondje živjeti. Kći je otišla u grad učiti, a čuvar se preselio k bratu na otok. Poslije mnogo godina vratio sam se onamo s vlastitom djecom. Vrata su bila širom otvorena, a na zidu je još visjela karta na kojoj su bile označene sve plićine i struje."""

TURKISH = """Küçük çocuk her sabah erkenden kalkar, dedesiyle birlikte balık tutmaya giderdi.
Deniz çoğu zaman sakindi, ama bazen rüzgâr öyle sert eserdi ki kıyıya dönmek zorunda kalırlardı. Dedesi ona yıldızların adlarını, bulutların ne söylediğini ve ağların nasıl onarıldığını öğretti. Akşam olunca sobanın başında oturur, çay içer ve eski günlerden konuşurlardı. Çocuk bu hikâyeleri hiç unutmadı.

Yıllar geçti, çocuk büyüdü ve büyük bir şehirde öğretmen oldu. Öğrencilerine denizi anlattığında hepsi sessizce dinlerdi. Bir gün dedesinden bir mektup aldı: “Kayığı boyadım, seni bekliyor.” Hemen izin istedi ve ilk otobüse bindi. Köye vardığında hava kararmıştı, fakat iskelede bir ışık yanıyordu. Yaşlı adam gülümsedi ve şöyle dedi: “Geç kaldın, balıklar uyudu bile.”"""

RUSSIAN = """Ещё до рассвета старый почтальон отправлялся в путь через заснеженное поле.
В каждом доме его ждали с нетерпением, потому что других новостей в деревню зимой не приходило. Он никогда не спешил, но всегда поспевал вовремя. Дети выбегали ему навстречу и просили показать марки с далёкими городами и диковинными зверями. Вечером он возвращался тем же путём, усталый и довольный.

Однажды письма не пришли, и почтальон решил, что сам напишет их всем соседям. Он купил бумагу, сел у окна и до утра вспоминал, что хорошего сделал каждый из них. На следующий день в деревне только и говорили, что об этих письмах. Никто не знал, кто их написал, однако многие догадывались. С тех пор люди здесь стали чаще благодарить друг друга."""

UKRAINIAN = """Щоранку дідусь виходив у сад і довго дивився, як сходить сонце над річкою.
Він казав, що кожне дерево має свою історію, і знав їх усі напам'ять. Ми любили сидіти поруч та слухати його розповіді про козаків, мандрівників і чарівних птахів. Коли ставало холодно, бабуся кликала нас до хати, де вже пахло свіжим хлібом. Її пироги були найсмачніші в цілому селі.

Тієї весни річка розлилася так широко, що вода підійшла аж до нашого подвір'я. Усі сусіди допомагали одне одному: переносили речі, рятували худобу, будували містки. Дідусь не злякався і сказав, що вода піде так само тихо, як і прийшла. Через тиждень вона справді зникла, а земля стала чорною і родючою. Того літа в нас виросли такі яблука, яких ніхто ще не їв."""

BULGARIAN = """Всяка сутрин баба отваряше прозореца и слушаше как камбаните бият над долината.
После слизаше в кухнята, палеше огъня и приготвяше закуска за цялото семейство. Ние се събуждахме от миризмата на топъл хляб и тичахме боси по стълбите. Тя ни разказваше за времето, когато през планината са минавали кервани, и за хората, които са живели тук преди нас. Къщата беше малка, но винаги пълна с гости.

През есента дойде един художник, който искаше да нарисува старата къща. Остана при нас цял месец и всеки ден рисуваше по нещо различно: вратата, двора, котката върху оградата. Накрая подари на баба една картина, на която тя седеше до прозореца. Никога не я бяхме виждали толкова млада. Картината още виси в стаята и когато я погледна, чувам отново камбаните."""

GREEK = """Κάθε πρωί ο παππούς κατέβαινε στο λιμάνι για να δει τα καράβια που έφευγαν.
Ήξερε όλους τους ναύτες με το όνομά τους και τους ρωτούσε πάντα πού πηγαίνουν. Ύστερα καθόταν στο μικρό καφενείο, έπινε τον καφέ του και μας έλεγε ιστορίες για μακρινές θάλασσες. Εμείς τον ακούγαμε χωρίς να μιλάμε, γιατί δεν θέλαμε να τελειώσει. Το βράδυ γυρίζαμε μαζί στο σπίτι, περνώντας από τα στενά δρομάκια.

Μια μέρα ήρθε ένα γράμμα από την Αυστραλία. Ο αδελφός του, που είχε φύγει πριν από σαράντα χρόνια, έγραφε ότι θα επιστρέψει το καλοκαίρι. Ο παππούς δεν είπε τίποτα, μόνο έβαψε την πόρτα του σπιτιού και φύτεψε καινούργια λουλούδια στην αυλή. Όταν το πλοίο έφτασε, στάθηκε στην άκρη της προβλήτας και κρατούσε το παλιό του καπέλο. Από τότε πίνουν τον καφέ τους μαζί."""

HEBREW = """בכל בוקר היה הזקן יוצא אל הגינה ומשקה את העצים לפני שהשמש עלתה.
השכנים אמרו שהוא מכיר כל פרח בשמו, והילדים אהבו לשבת לידו ולשמוע סיפורים על הימים שבהם לא היו כאן כבישים ולא בתים גבוהים. הוא דיבר לאט, ותמיד עצר לרגע לפני הסוף. בערב הדליק מנורה קטנה ליד החלון, וכולם ידעו שהוא עדיין קורא.

יום אחד באה אליו נערה וביקשה ללמוד איך מגדלים ורדים. הוא נתן לה כלי עבודה ישנים ואמר שהדבר החשוב ביותר הוא סבלנות. כל החורף הם עבדו יחד, ובאביב נפתחו הפרחים הראשונים. מאז עברו שנים רבות, והנערה היא היום רופאה בעיר אחרת. בכל זאת היא חוזרת פעם בשנה לגינה הקטנה, יושבת על הספסל וחושבת על הדברים שלמדה שם."""

ARABIC = """كان الشيخ يجلس كل صباح أمام باب البيت القديم ويشرب القهوة مع جيرانه.
وكان الأطفال يأتون إليه بعد المدرسة ليسمعوا قصصا عن البحر والصحراء والمدن البعيدة. لم يكن أحد يعرف كم عمره، لكن الجميع كانوا يحبونه ويسألونه عن رأيه في كل شيء. وعندما تغرب الشمس كان يغلق الباب ببطء ويشعل المصباح الصغير قرب النافذة.

في أحد الأيام وصلت إلى القرية سيارة كبيرة، ونزل منها رجل يحمل كتابا. قال إنه سافر وقتا طويلا حتى يجد هذا المكان، لأن والده ولد هنا. استقبله الشيخ وأجلسه إلى جانبه، ثم حدثه عن أبيه وعن البيت الذي كان يسكن فيه. بكى الرجل وهو يسمع هذه الكلمات. وقبل أن يعود إلى مدينته ترك الكتاب للأطفال، فصاروا يقرؤون منه كل مساء."""

PERSIAN = """هر روز صبح پدر بزرگ در حياط مي نشست و به صداي پرندگان گوش مي داد.
بچه ها دور او جمع مي شدند و از او مي خواستند که از گذشته بگويد. او هميشه لبخند مي زد و داستان را از همان جا شروع مي کرد که ديروز تمام شده بود. مادر چاي مي آورد و خانه پر از بوي نان گرم مي شد. هيچ کس نمي خواست که آن روزها تمام شود.

وقتي پاييز آمد، برگ درختان زرد شد و پدر بزرگ کمتر به حياط مي رفت. ما کنار پنجره مي نشستيم و او کتاب مي خواند. گفت که هر کتاب مثل يک سفر است و هر کس بايد راه خود را پيدا کند. سال ها بعد، وقتي به شهر ديگري رفتم، همان کتاب را با خود بردم. هنوز هم گاهي آن را باز مي کنم و صداي او را مي شنوم."""

LITHUANIAN = """Kiekvieną rytą senelis eidavo į mišką, kur pažinojo visus takelius ir kiekvieną medį.
Jis mokėjo atskirti paukščių balsus ir žinojo, kur auga gardžiausi grybai. Mes eidavome paskui jį, stengdamiesi neatsilikti, nors mūsų kojos buvo trumpesnės. Grįžę namo, viską išpildavome ant stalo, o močiutė džiaugdavosi, kad vėl turės ką džiovinti žiemai. Vakare visi sėdėdavome prie krosnies ir klausydavomės pasakojimų.

Vieną rudenį miške prasidėjo gaisras. Žmonės iš aplinkinių kaimų atskubėjo su kibirais ir kastuvais, o senelis rodė, kuria kryptimi vėjas neša ugnį. Gesinome visą naktį, kol pagaliau pradėjo lyti. Pavasarį toje vietoje pasodinome šimtus mažų eglučių ir ąžuolų. Dabar jie jau aukštesni už mane, ir aš žinau kiekvieno jų vietą taip pat gerai, kaip senelis kadaise žinojo senąjį mišką."""

VIETNAMESE = """Mỗi buổi sáng, ông tôi thường ngồi trước hiên nhà và uống một tách trà nóng.
Ông kể cho chúng tôi nghe về những ngày còn trẻ, khi làng này chỉ có vài ngôi nhà nhỏ bên bờ sông. Bọn trẻ rất thích nghe và luôn hỏi thêm nhiều câu hỏi. Khi mặt trời lên cao, bà gọi mọi người vào ăn cơm, và cả nhà lại quây quần bên nhau như thế.

Rồi một năm nọ, nước lũ dâng lên rất nhanh và cuốn trôi cây cầu cũ. Mọi người trong làng cùng nhau làm lại một cây cầu mới, ai có sức thì góp sức, ai có gỗ thì góp gỗ. Ông tôi tuy đã già nhưng ngày nào cũng ra đứng xem và chỉ cho thanh niên cách buộc dây thật chắc. Đến nay cây cầu vẫn còn đó, và mỗi lần đi qua tôi lại nhớ đến tiếng cười của ông."""

THAI = """ทุกเช้าคุณปู่จะนั่งดื่มกาแฟอยู่หน้าบ้านและมองดูเรือที่แล่นผ่านไปในแม่น้ำ
เด็ก ๆ ในหมู่บ้านชอบมาฟังเรื่องเล่าของท่านหลังเลิกเรียน ท่านจำชื่อทุกคนได้และไม่เคยเบื่อที่จะตอบคำถาม พอตกเย็นคุณย่าก็เรียกให้พวกเราเข้าบ้านไปกินข้าว กลิ่นอาหารหอมอบอวลไปทั่วทั้งบ้าน

วันหนึ่งน้ำท่วมใหญ่และสะพานไม้เก่าก็พังลง ชาวบ้านทุกคนช่วยกันสร้างสะพานใหม่ ใครมีแรงก็ออกแรง ใครมีไม้ก็เอาไม้มาให้ คุณปู่แม้จะแก่มากแล้วแต่ก็ยังออกมาดูทุกวันและสอนคนหนุ่มให้ผูกเชือกให้แน่น ทุกวันนี้สะพานนั้นยังอยู่ และทุกครั้งที่ฉันเดินข้าม ฉันก็คิดถึงเสียงหัวเราะของท่าน"""

JAPANESE = """毎朝、祖父は家の前に座って、川を下っていく船を静かに眺めていました。
村の子どもたちは学校が終わると集まってきて、昔の話を聞くのをとても楽しみにしていました。祖父はゆっくりと話し、いつも一番大切なところで少し黙ってしまいます。夕方になると祖母が私たちを呼び、家の中には温かいご飯の匂いが広がりました。あのころの時間は、今よりもずっとゆっくり流れていたように思います。

ある年の秋、大きな台風が来て、古い木の橋が流されてしまいました。村の人々は力を合わせて新しい橋を作ることにしました。祖父はもう年を取っていましたが、毎日見に来ては、若い人たちに縄の結び方を教えていました。橋は次の春に完成しました。私は今でもその橋を渡るたびに、祖父の笑い声を思い出します。"""

KOREAN = """할아버지는 매일 아침 집 앞에 앉아서 강을 따라 내려가는 배를 바라보셨다.
마을 아이들은 학교가 끝나면 모여들어 옛날이야기를 듣는 것을 무척 좋아했다. 할아버지는 천천히 말씀하셨고, 언제나 가장 중요한 대목에서 잠시 말을 멈추셨다. 저녁이 되면 할머니가 우리를 부르셨고, 집 안에는 따뜻한 밥 냄새가 가득했다. 그때의 시간은 지금보다 훨씬 느리게 흘러갔던 것 같다.

어느 해 가을, 큰 태풍이 와서 오래된 나무다리가 떠내려갔다. 마을 사람들은 힘을 모아 새 다리를 만들기로 했다. 할아버지는 이미 나이가 많으셨지만 날마다 나오셔서 젊은이들에게 밧줄을 묶는 법을 가르쳐 주셨다. 다리는 이듬해 봄에 완성되었다. 나는 지금도 그 다리를 건널 때마다 할아버지의 웃음소리를 떠올린다."""

SIMPLIFIED = """每天早晨，爷爷都坐在家门口，静静地看着河上来来往往的船。
村里的孩子们放学以后就围到他身边，听他讲过去的故事。他说话很慢，总是在最重要的地方停下来，让大家猜一猜后面会发生什么。到了傍晚，奶奶叫我们回家吃饭，屋子里充满了米饭的香味。那时候的时间，好像比现在过得慢得多。

有一年秋天，一场大雨冲走了那座旧木桥。村里的人决定一起修一座新的桥，有力气的出力气，有木头的出木头。爷爷虽然年纪大了，还是每天都来看，教年轻人怎样把绳子系得更结实。第二年春天，桥终于修好了。直到今天，每当我走过那座桥，都会想起爷爷的笑声。"""

TRADITIONAL = """每天早晨，爺爺都坐在家門口，靜靜地看著河上來來往往的船。
村裡的孩子們放學以後就圍到他身邊，聽他講過去的故事。他說話很慢，總是在最重要的地方停下來，讓大家猜一猜後面會發生什麼。到了傍晚，奶奶叫我們回家吃飯，屋子裡充滿了米飯的香味。那時候的時間，好像比現在過得慢得多。

有一年秋天，一場大雨沖走了那座舊木橋。村裡的人決定一起修一座新的橋，有力氣的出力氣，有木頭的出木頭。爺爺雖然年紀大了，還是每天都來看，教年輕人怎樣把繩子繫得更結實。第二年春天，橋終於修好了。直到今天，每當我走過那座橋，都會想起爺爺的笑聲。"""
