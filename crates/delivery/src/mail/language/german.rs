//! German.

use super::Sentences;

pub(super) const MONTHS: [&str; 12] = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
];

pub(super) const SENTENCES: Sentences = Sentences {
    greeting: "Guten Tag {name}!",
    test: "Dies ist ein Test: Es ist kein Geld geflossen.",
    order: "Ihre Bestellung: {order}, {day}",
    key_hint: "Ihr Lizenzschlüssel: {key}",
    reply_or_ask: "Fragen? Antworten Sie auf diese E-Mail oder",
    ask: "fragen Sie hier",
    reply: "Fragen? Antworten Sie auf diese E-Mail.",
    ask_only: "Fragen?",
    ask_only_link: "Hier erreichen Sie uns",
    manage: "Lizenz verwalten",

    delivery_subject: "Ihr Lizenzschlüssel für {product}",
    delivery_intro: "Vielen Dank, dass Sie sich für {title} entschieden haben. Das ist Ihr Lizenzschlüssel:",
    allowance_any: "Er gilt für beliebig viele Ihrer Geräte.",
    allowance_one: "Er gilt für eines Ihrer Geräte.",
    allowance_many: "Er gilt für {count} Ihrer Geräte.",
    term_until: "Er gilt bis zum {day}.",
    term_until_renews: "Er gilt bis zum {day} und verlängert sich von selbst.",
    term_renews: "Er verlängert sich von selbst mit Ihrem Abonnement.",
    term_forever: "Er läuft nicht ab.",
    start: "Starten Sie {product} und geben Sie den Schlüssel ein, sobald danach gefragt wird.",
    download_and_start: "Laden Sie {product} herunter, starten Sie es und geben Sie den Schlüssel ein, sobald danach gefragt \
                         wird.",
    download: "{product} herunterladen",
    docs: "Erste Schritte",
    portal: "Ihre Geräte, und dieser Schlüssel jederzeit noch einmal",
    now_frozen: "Bitte beachten Sie: Diese Lizenz gilt im Moment nicht, weil {reason}.",
    now_expired: "Bitte beachten Sie: Diese Lizenz ist abgelaufen, weil {reason}.",
    now_revoked: "Bitte beachten Sie: Diese Lizenz gilt nicht mehr, weil {reason}.",

    renewed_subject: "Ihre Lizenz für {product} ist verlängert",
    renewed_until: "Ihre Lizenz für {title} ist verlängert. Sie gilt jetzt bis zum {day}.",
    renewed_forever: "Ihre Lizenz für {title} ist verlängert. Sie gilt jetzt unbefristet.",
    renewed_renews: "Danach verlängert sie sich wie bisher von selbst.",
    renewed_nothing_to_do: "Sie müssen nichts tun: Ihr Schlüssel und Ihre Geräte bleiben, wie sie sind.",

    expiring_subject: "Ihre Lizenz für {product} endet am {day}",
    expiring_intro: "Ihre Lizenz für {title} endet am {day}. Bis dahin gilt sie wie bisher.",
    expiring_since_cancelled: "Ihr Abonnement wurde gekündigt, deshalb verlängert sie sich nicht.",
    expiring_since_bought: "Dann ist die gekaufte Zeit vorbei, und sie verlängert sich nicht von selbst.",
    expiring_resume: "Wenn Sie die Lizenz behalten möchten, nehmen Sie Ihr Abonnement vor diesem Tag wieder auf.",
    expiring_renew: "Wenn Sie die Lizenz behalten möchten, verlängern Sie sie vor diesem Tag.",

    payment_subject: "Die Zahlung für Ihre Lizenz für {product} steht aus",
    payment_intro: "Ihre Lizenz für {title} ist bis zum {day} bezahlt, und die Zahlung für die Verlängerung ist nicht \
                    eingegangen.",
    payment_works_until: "Sie gilt trotzdem bis zum {day}.",
    payment_works: "Sie gilt vorerst trotzdem.",
    payment_to_do: "Bitte prüfen Sie die Zahlungsart Ihres Abonnements. Sobald die Zahlung eingeht, geht alles weiter wie \
                    bisher.",

    frozen_subject: "Ihre Lizenz für {product} ist ausgesetzt",
    frozen_intro: "Ihre Lizenz für {title} gilt im Moment nicht, weil {reason}.",
    frozen_pay: "Sobald die Zahlung eingeht, gilt sie von selbst wieder, mit demselben Schlüssel.",
    frozen_resume: "Sobald Sie Ihr Abonnement fortsetzen, gilt sie von selbst wieder, mit demselben Schlüssel.",
    frozen_dispute: "Falls Sie der Zahlung nicht widersprechen wollten, sagen Sie das bitte Ihrer Bank oder Ihrem \
                     Kartenanbieter. Sobald der Widerspruch zurückgenommen ist, gilt sie von selbst wieder, mit demselben \
                     Schlüssel.",

    revoked_subject: "Ihre Lizenz für {product} gilt nicht mehr",
    revoked_intro: "Ihre Lizenz für {title} gilt nicht mehr, weil {reason}.",
    revoked_again: "Sie müssen nichts tun. Wenn Sie {product} wieder nutzen möchten, können Sie es jederzeit neu kaufen.",

    mistake: "Wenn das ein Irrtum ist, melden Sie sich bitte bei uns.",
    get_in_touch: "Wenn Sie sie weiter nutzen möchten, melden Sie sich bitte bei uns.",

    reason_paid: "sie bezahlt ist",
    reason_renewal_awaited: "die bezahlte Zeit vorbei und die Zahlung für die Verlängerung noch nicht eingegangen ist",
    reason_not_renewed: "die bezahlte Zeit vorbei ist und nicht verlängert wurde",
    reason_term_over: "die gekaufte Zeit vorbei ist",
    reason_revoked_by_hand: "der Verkäufer sie zurückgenommen hat",
    reason_frozen_by_hand: "der Verkäufer sie ausgesetzt hat",
    reason_removed: "Ihre Bestellung jetzt weniger Lizenzen enthält",
    reason_superseded: "eine andere Lizenz derselben Bestellung an ihre Stelle getreten ist",
    reason_ended: "Ihr Abonnement am {day} geendet hat",
    reason_paused: "Ihr Abonnement pausiert",
    reason_past_due: "die Zahlung für die Verlängerung nicht eingegangen ist",
    reason_refunded: "die Zahlung dafür erstattet wurde",
    reason_refunded_in_part: "die Zahlung dafür teilweise erstattet wurde",
    reason_dispute_lost: "Ihre Bank oder Ihr Kartenanbieter die Zahlung dafür zurückgeholt hat",
    reason_dispute_open: "der Zahlung dafür widersprochen wurde",
};
