"""The voices of Amazon Polly that the sandbox has, and the synthesizer's voice that stands in for each.

Names, languages, genders and engines: https://docs.aws.amazon.com/polly/latest/dg/available-voices.html.
"""

from dataclasses import dataclass

ENGINES = ("standard", "neural")

#: Language code -> name in Polly, language of the synthesizer, and the voices as `name:gender:engines`; the engines are
#: s (standard) and n (neural).
_LANGUAGES = {
    "arb": ("Arabic", "ar", "Zeina:F:s"),
    "ca-ES": ("Catalan", "ca", "Arlet:F:n"),
    "cmn-CN": ("Chinese Mandarin", "cmn", "Zhiyu:F:sn"),
    "cs-CZ": ("Czech", "cs", "Jitka:F:n"),
    "cy-GB": ("Welsh", "cy", "Gwyneth:F:s"),
    "da-DK": ("Danish", "da", "Naja:F:s Mads:M:s Sofie:F:n"),
    "de-AT": ("Austrian German", "de", "Hannah:F:n"),
    "de-CH": ("Swiss Standard German", "de", "Sabrina:F:n"),
    "de-DE": ("German", "de", "Marlene:F:s Vicki:F:sn Hans:M:s Daniel:M:n"),
    "en-AU": ("Australian English", "en", "Nicole:F:s Olivia:F:n Russell:M:s"),
    "en-GB": ("British English", "en", "Amy:F:sn Emma:F:sn Brian:M:sn Arthur:M:n"),
    "en-GB-WLS": ("Welsh English", "en", "Geraint:M:s"),
    "en-IE": ("Irish English", "en", "Niamh:F:n"),
    "en-IN": ("Indian English", "en", "Aditi:F:s Raveena:F:s Kajal:F:n"),
    "en-NZ": ("New Zealand English", "en", "Aria:F:n"),
    "en-US": (
        "US English",
        "en-us",
        "Ivy:F:sn Joanna:F:sn Kendra:F:sn Kimberly:F:sn Salli:F:sn "
        "Joey:M:sn Justin:M:sn Matthew:M:sn Ruth:F:n Stephen:M:n",
    ),
    "en-ZA": ("South African English", "en", "Ayanda:F:n"),
    "es-ES": ("Castilian Spanish", "es", "Conchita:F:s Lucia:F:sn Enrique:M:s Sergio:M:n"),
    "es-MX": ("Mexican Spanish", "es-419", "Mia:F:sn Andres:M:n"),
    "es-US": ("US Spanish", "es-419", "Lupe:F:sn Penelope:F:s Miguel:M:s Pedro:M:n"),
    "fi-FI": ("Finnish", "fi", "Suvi:F:n"),
    "fr-BE": ("Belgian French", "fr-be", "Isabelle:F:n"),
    "fr-CA": ("Canadian French", "fr", "Chantal:F:s Gabrielle:F:n Liam:M:n"),
    "fr-FR": ("French", "fr", "Celine:F:s Lea:F:sn Mathieu:M:s Remi:M:n"),
    "is-IS": ("Icelandic", "is", "Dora:F:s Karl:M:s"),
    "it-IT": ("Italian", "it", "Carla:F:s Bianca:F:sn Giorgio:M:s Adriano:M:n"),
    "ja-JP": ("Japanese", "ja", "Mizuki:F:s Takumi:M:sn Kazuha:F:n Tomoko:F:n"),
    "ko-KR": ("Korean", "ko", "Seoyeon:F:sn"),
    "nb-NO": ("Norwegian", "nb", "Liv:F:s Ida:F:n"),
    "nl-BE": ("Belgian Dutch", "nl", "Lisa:F:n"),
    "nl-NL": ("Dutch", "nl", "Lotte:F:s Ruben:M:s Laura:F:n"),
    "pl-PL": ("Polish", "pl", "Ewa:F:s Maja:F:s Jacek:M:s Jan:M:s Ola:F:n"),
    "pt-BR": ("Brazilian Portuguese", "pt-br", "Camila:F:sn Vitoria:F:sn Ricardo:M:s Thiago:M:n"),
    "pt-PT": ("Portuguese", "pt", "Ines:F:sn Cristiano:M:s"),
    "ro-RO": ("Romanian", "ro", "Carmen:F:s"),
    "ru-RU": ("Russian", "ru", "Tatyana:F:s Maxim:M:s"),
    "sv-SE": ("Swedish", "sv", "Astrid:F:s Elin:F:n"),
    "tr-TR": ("Turkish", "tr", "Filiz:F:s Burcu:F:n"),
}


@dataclass(frozen=True)
class Voice:
    """One voice.

    Attributes:
        id: the voice's id in Polly.
        gender: `Female` or `Male`.
        language_code: such as `en-GB`.
        language_name: such as `British English`.
        engines: the engines of Polly that have it.
        synthesizer_voice: language and variant of the synthesizer, such as `en+f2`.
    """

    id: str
    gender: str
    language_code: str
    language_name: str
    engines: tuple[str, ...]
    synthesizer_voice: str


def _voices() -> dict[str, Voice]:
    found = {}
    for code, (language_name, language, entries) in _LANGUAGES.items():
        for index, entry in enumerate(entries.split()):
            name, gender, engines = entry.split(":")
            variant = f"{gender.lower()}{1 + index % 5}"
            found[name] = Voice(
                id=name,
                gender="Female" if gender == "F" else "Male",
                language_code=code,
                language_name=language_name,
                engines=tuple(engine for engine in ENGINES if engine[0] in engines),
                synthesizer_voice=f"{language}+{variant}",
            )
    return found


#: The voices by their ids.
VOICES = _voices()
