//! English.

use super::Sentences;

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(super) const SENTENCES: Sentences = Sentences {
    greeting: "Hi {name},",
    test: "This is a test: no money was involved.",
    order: "Your order: {order}, {day}",
    key_hint: "Your license key: {key}",
    reply_or_ask: "Questions? Reply to this mail, or",
    ask: "ask here",
    reply: "Questions? Reply to this mail.",
    ask_only: "Questions?",
    ask_only_link: "Ask here",
    manage: "Manage your license",

    delivery_subject: "Your {product} license key is ready",
    delivery_intro: "Thank you for choosing {title}. This is your license key:",
    allowance_any: "It works on any number of your devices.",
    allowance_one: "It works on one of your devices.",
    allowance_many: "It works on {count} of your devices.",
    term_until: "It is valid until {day}.",
    term_until_renews: "It is valid until {day} and renews by itself.",
    term_renews: "It renews by itself with your subscription.",
    term_forever: "It has no end date.",
    start: "Start {product} and enter the key when it asks for it.",
    download_and_start: "Download {product}, start it, and enter the key when it asks for it.",
    download: "Download {product}",
    docs: "How to start",
    portal: "Your devices, and this key again at any time",
    now_frozen: "Please note: this license does not work for now, because {reason}.",
    now_expired: "Please note: this license has expired, because {reason}.",
    now_revoked: "Please note: this license is no longer valid, because {reason}.",

    renewed_subject: "Your {product} license is renewed",
    renewed_until: "Your {title} license is renewed. It is now valid until {day}.",
    renewed_forever: "Your {title} license is renewed. It has no end date now.",
    renewed_renews: "After that it renews by itself, as before.",
    renewed_nothing_to_do: "There is nothing you need to do: your key and your devices stay as they are.",

    expiring_subject: "Your {product} license ends on {day}",
    expiring_intro: "Your {title} license ends on {day}. Until then it works as before.",
    expiring_since_cancelled: "Your subscription was cancelled, so nothing renews it.",
    expiring_since_bought: "The time that you bought is over then, and nothing renews it.",
    expiring_resume: "If you would like to keep it, resume your subscription before that day.",
    expiring_renew: "If you would like to keep it, renew it before that day.",

    payment_subject: "The payment for your {product} license is overdue",
    payment_intro: "Your {title} license is paid until {day}, and the payment for its renewal has not arrived.",
    payment_works_until: "It works all the same until {day}.",
    payment_works: "It works all the same for now.",
    payment_to_do: "Please check the payment method of your subscription. Once the payment arrives, everything goes on as \
                    before.",

    frozen_subject: "Your {product} license is suspended",
    frozen_intro: "Your {title} license does not work for now, because {reason}.",
    frozen_pay: "Once the payment arrives, it works again by itself, with the same key.",
    frozen_resume: "Once you resume your subscription, it works again by itself, with the same key.",
    frozen_dispute: "If you did not mean to dispute the payment, please tell your bank or card company. Once the dispute is \
                     withdrawn, it works again by itself, with the same key.",

    revoked_subject: "Your {product} license is no longer valid",
    revoked_intro: "Your {title} license is no longer valid, because {reason}.",
    revoked_again: "There is nothing you need to do. If you would like to use {product} again, you can buy it again at any \
                    time.",

    mistake: "If you think that this is a mistake, please get in touch.",
    get_in_touch: "If you would like to go on using it, please get in touch.",

    reason_paid: "it is paid for",
    reason_renewal_awaited: "the time that was paid for is over and its renewal has not arrived yet",
    reason_not_renewed: "the time that was paid for is over and was not renewed",
    reason_term_over: "the time that was bought is over",
    reason_revoked_by_hand: "it was withdrawn by the seller",
    reason_frozen_by_hand: "it was suspended by the seller",
    reason_removed: "your order holds fewer licenses now",
    reason_superseded: "another license of the same order stands for it",
    reason_ended: "your subscription ended on {day}",
    reason_paused: "your subscription is paused",
    reason_past_due: "the payment for its renewal has not arrived",
    reason_refunded: "the payment for it was refunded",
    reason_refunded_in_part: "the payment for it was refunded in part",
    reason_dispute_lost: "the payment for it was taken back by your bank or card company",
    reason_dispute_open: "the payment for it is being disputed",
};
