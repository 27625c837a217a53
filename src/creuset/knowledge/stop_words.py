"""Words that say nothing of what a text is about, in French and English.

Source: the lists of the Snowball project (https://snowballstem.org, English and French) as far as pronouns,
articles, prepositions, conjunctions and forms of to be, to have, to do, être and avoir go. Departures: words
of questions are stop words too, and words that name things in manuals ("state", "pas" of a screw) are judged
by their frequent use.
"""

_ENGLISH = (
    "i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her "
    "hers herself it its itself they them their theirs themselves what which who whom whose this that "
    "these those am is are was were be been being have has had having do does did doing would should "
    "could ought can will shall may might must a an the and but if or because as until while of at by for "
    "with about against between into through during before after above below to from up down in out on "
    "off over under again further then once here there when where why how all any both each few more most "
    "other some such no nor not only own same so than too very s t"
)
_FRENCH = (
    "au aux avec ce ces cet cette ceci cela ça dans de des du elle elles en et eux il ils je la le les "
    "leur leurs lui ma mais me même mêmes mes moi mon ne nos notre nous on ou où par pas pour qu que quel "
    "quelle quelles quels qui quoi sa se ses si son sur sous ta te tes toi ton tu un une vos votre vous y "
    "à c d j l m n s t est es suis sommes êtes sont étais était étions étiez étaient fus fut fûmes furent "
    "serai seras sera serons serez seront serais serait serions seraient sois soit soyons soyez soient "
    "étant été être ai as a avons avez ont avais avait avions aviez avaient eut eurent aurai auras aura "
    "aurons aurez auront aurais aurait auraient aie ait aient ayant eu avoir fait faire peut peuvent doit "
    "doivent comment pourquoi quand dont donc car ni or afin ainsi alors aussi comme entre sans selon "
    "chez lors plus moins très tout toute tous toutes"
)
ENGLISH = frozenset(_ENGLISH.split())
FRENCH = frozenset(_FRENCH.split())
