//! The spine: tenants, catalogue, inbox, orders, licenses, activations, mails, keys, audit, attention.

mod activity;
mod brought;
mod people;
mod prices;

use sea_orm::DbBackend;
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

/// A table in one line: columns as `name type`, where `?` allows NULL, then what is unique and what is looked up. What is
/// looked up for a whole batch is the first column of its index, and the only condition: then no planner has a choice.
struct Table {
    name: &'static str,
    columns: &'static str,
    primary: &'static [&'static str],
    unique: &'static [&'static [&'static str]],
    /// Columns, and the condition under which a row is in the index.
    indexes: &'static [(&'static [&'static str], Option<&'static str>)],
}

const TABLES: &[Table] = &[
    Table {
        name: "tenants",
        columns: "id uuid, slug text, name text, status text, account text, catalogue_revision bigint,
            test_clock_ahead bigint, deliveries_kept_days integer?, requires_second_factor boolean, created_at bigint",
        primary: &["id"],
        unique: &[&["slug"]],
        indexes: &[],
    },
    Table {
        name: "products",
        columns: "id uuid, tenant_id uuid, code text, name text, key_prefix text, brand text, created_at bigint",
        primary: &["id"],
        unique: &[&["tenant_id", "code"]],
        indexes: &[],
    },
    Table {
        name: "plans",
        columns: "id uuid, version integer, tenant_id uuid, product_id uuid, code text, name text, terms text,
            created_at bigint",
        primary: &["id", "version"],
        unique: &[&["tenant_id", "code", "version"]],
        indexes: &[],
    },
    Table {
        name: "connections",
        columns: "id uuid, tenant_id uuid, provider text, code text, mode text, account text?, settings text,
            api_base text?, secrets blob?, created_at bigint",
        primary: &["id"],
        unique: &[&["tenant_id", "code"], &["provider", "mode", "account"]],
        indexes: &[],
    },
    Table {
        name: "price_rules",
        columns: "id uuid, tenant_id uuid, connection_id uuid, matcher_kind text, matcher_value text, grants text,
            adds text, valid_from bigint, valid_until bigint?, created_at bigint",
        primary: &["id"],
        unique: &[&["tenant_id", "connection_id", "matcher_kind", "matcher_value", "valid_from"]],
        indexes: &[],
    },
    Table {
        name: "customers",
        columns: "id uuid, tenant_id uuid, livemode boolean, email_normalised text, email text, name text?,
            created_at bigint, erased_at bigint?, merged_into uuid?",
        primary: &["id"],
        unique: &[&["email_normalised", "tenant_id", "livemode"]],
        indexes: &[
            (&["tenant_id", "livemode", "id"], None),
            (&["merged_into"], Some("merged_into IS NOT NULL")),
        ],
    },
    Table {
        name: "identities",
        columns: "connection_id uuid, reference text, tenant_id uuid, customer_id uuid?, snapshot text, updated_at bigint,
            erased boolean",
        primary: &["reference", "connection_id"],
        unique: &[],
        indexes: &[(&["customer_id"], Some("customer_id IS NOT NULL"))],
    },
    Table {
        name: "orders",
        columns: "id uuid, tenant_id uuid, connection_id uuid, livemode boolean, customer_id uuid?, body text,
            due_at bigint?, merged_into uuid?, created_at bigint, updated_at bigint",
        primary: &["id"],
        unique: &[],
        indexes: &[
            (&["due_at"], Some("due_at IS NOT NULL")),
            (&["merged_into"], Some("merged_into IS NOT NULL")),
            (&["tenant_id", "livemode", "id"], None),
            (&["customer_id", "id"], None),
        ],
    },
    Table {
        name: "order_references",
        columns: "connection_id uuid, reference text, order_id uuid",
        primary: &["reference", "connection_id"],
        unique: &[],
        indexes: &[(&["order_id"], None)],
    },
    Table {
        name: "facts",
        columns: "inbound_id uuid, position integer, order_id uuid?, kind text, version integer, body text,
            customer text?",
        primary: &["inbound_id", "position"],
        unique: &[],
        indexes: &[(&["order_id"], None), (&["customer"], Some("customer IS NOT NULL"))],
    },
    Table {
        name: "inbound_events",
        columns: "id uuid, tenant_id uuid, connection_id uuid, account text?, event_key text, kind text, livemode boolean,
            occurred_at bigint?, received_at bigint, status text, body text, requests text?, answers text?,
            attempts integer, next_attempt_at bigint?, lease_token uuid?, lease_until bigint?, error text?, done_at bigint?,
            caught_up boolean, call text?",
        primary: &["id"],
        unique: &[&["connection_id", "event_key"]],
        indexes: &[
            (&["received_at", "id"], Some("status IN ('received', 'ready')")),
            (&["next_attempt_at"], Some("status = 'waiting'")),
            (&["id"], Some("status = 'held'")),
            (&["tenant_id", "livemode", "id"], None),
        ],
    },
    Table {
        name: "backfills",
        columns: "connection_id uuid, tenant_id uuid, caught_up_to bigint, since bigint?, until bigint?, page text?,
            found bigint, attempts integer, next_at bigint?, lease_token uuid?, lease_until bigint?, error text?",
        primary: &["connection_id"],
        unique: &[],
        indexes: &[],
    },
    Table {
        name: "licenses",
        columns: "id uuid, tenant_id uuid, livemode boolean, order_id uuid, origin_order_id uuid, slot integer,
            customer_id uuid?, connection_id uuid, product_id uuid, plan_id uuid, plan_version integer, seats integer,
            adjustment text?, state text, reason text, until bigint?, unit text, standing text, rulings text, holding text, superseded_by uuid?, announced boolean, expiry_told bigint?, keys integer,
            issued_at bigint, updated_at bigint",
        primary: &["id"],
        unique: &[&["order_id", "slot"]],
        // Lists go by id. What they may be asked for stands behind it, so that whatever is not asked for is passed over
        // inside the index: one of them serves all filters, and a new license is written at its end.
        indexes: &[
            (
                &[
                    "tenant_id",
                    "livemode",
                    "id",
                    "state",
                    "reason",
                    "product_id",
                    "plan_id",
                    "plan_version",
                    "connection_id",
                    "until",
                ],
                None,
            ),
            (&["customer_id", "id"], None),
            (&["tenant_id", "livemode", "until"], Some("state = 'active' AND until IS NOT NULL")),
        ],
    },
    Table {
        name: "license_keys",
        columns: "id uuid, tenant_id uuid, license_id uuid, hash blob, sealed blob, sealed_by text, hint text, ending text,
            created_at bigint, closes_at bigint?",
        primary: &["hash"],
        unique: &[&["id"]],
        indexes: &[(&["license_id"], None), (&["ending"], None)],
    },
    Table {
        name: "license_metadata",
        columns: "license_id uuid, tenant_id uuid, body text, updated_at bigint",
        primary: &["license_id"],
        unique: &[],
        indexes: &[],
    },
    Table {
        name: "activations",
        columns: "id uuid, tenant_id uuid, license_id uuid, kind text, fingerprint text, name text?, app_version text?,
            os text?, created_at bigint, last_seen_at bigint, lease_until bigint?",
        primary: &["id"],
        unique: &[&["license_id", "fingerprint"]],
        indexes: &[(&["fingerprint"], None)],
    },
    Table {
        name: "check_usage",
        columns: "subject_id uuid, month integer, checks bigint",
        primary: &["subject_id", "month"],
        unique: &[],
        indexes: &[],
    },
    Table {
        name: "checkout_windows",
        columns: "tenant_id uuid, opened text",
        primary: &["tenant_id"],
        unique: &[],
        indexes: &[],
    },
    Table {
        name: "plan_prices",
        columns: "id uuid, tenant_id uuid, plan_id uuid, connection_id uuid, price text, reference text?,
            asked_at bigint?, created_at bigint, retired_at bigint?",
        primary: &["id"],
        unique: &[],
        indexes: &[(&["tenant_id"], None)],
    },
    Table {
        name: "signing_keys",
        columns: "kid text, tenant_id uuid, id uuid, public blob, sealed blob, sealed_by text, created_at bigint,
            retired_at bigint?",
        primary: &["kid"],
        unique: &[],
        indexes: &[(&["tenant_id"], None)],
    },
    Table {
        name: "api_keys",
        columns: "id uuid, tenant_id uuid, name text, kind text, scopes text, hash blob, created_by text,
            created_at bigint, last_used_at bigint?, expires_at bigint?, revoked_at bigint?",
        primary: &["id"],
        unique: &[&["tenant_id", "name"]],
        indexes: &[],
    },
    Table {
        name: "audit_entries",
        columns: "id uuid, tenant_id uuid, occurred_at bigint, actor text, action text, subject text, order_id uuid?,
            license_id uuid?, detail text, sequence bigint, chain blob",
        primary: &["id"],
        unique: &[&["tenant_id", "sequence"]],
        indexes: &[
            (&["order_id"], None),
            (&["license_id"], None),
            (&["subject"], Some("order_id IS NULL AND license_id IS NULL")),
        ],
    },
    Table {
        name: "audit_erasures",
        columns: "entry_id uuid, digest blob",
        primary: &["entry_id"],
        unique: &[],
        indexes: &[],
    },
    Table {
        name: "events",
        columns: "id uuid, tenant_id uuid, livemode boolean, kind text, license_id uuid?, order_id uuid?,
            customer_id uuid?, body text, example boolean, occurred_at bigint",
        primary: &["id"],
        unique: &[],
        indexes: &[
            (&["license_id"], None),
            (&["tenant_id", "livemode", "id"], None),
            (&["customer_id"], Some("license_id IS NULL")),
            (&["tenant_id", "livemode"], Some("customer_id IS NULL AND license_id IS NULL")),
        ],
    },
    Table {
        name: "webhook_endpoints",
        columns: "id uuid, tenant_id uuid, livemode boolean, code text, url text, kinds text, style text, schedule text,
            ordered boolean, status text, reason text?, sealed blob, sealed_by text, wants_since bigint, failing_since bigint?,
            warned_at bigint?, lease_token uuid?, lease_until bigint?, created_at bigint",
        primary: &["id"],
        unique: &[&["tenant_id", "code"]],
        indexes: &[],
    },
    Table {
        name: "deliveries",
        columns: "id uuid, tenant_id uuid, endpoint_id uuid, event_id uuid, license_id uuid?, status text,
            cause text, attempts integer, next_attempt_at bigint?, last_status integer?, error text?,
            created_at bigint, done_at bigint?",
        primary: &["id"],
        unique: &[&["event_id", "endpoint_id"]],
        indexes: &[
            (&["endpoint_id", "next_attempt_at"], Some("status = 'pending'")),
            (&["endpoint_id", "license_id", "id"], Some("status = 'pending'")),
            (&["endpoint_id", "id"], Some("status = 'held'")),
            (&["endpoint_id", "id"], Some("status = 'dead'")),
            (&["endpoint_id", "id"], None),
            (&["tenant_id", "id"], None),
        ],
    },
    Table {
        name: "delivery_attempts",
        columns: "id uuid, tenant_id uuid, delivery_id uuid, cause text, began_at bigint, duration_micros bigint,
            status integer?, error text?, headers text?, answer text?, truncated boolean",
        primary: &["id"],
        unique: &[],
        indexes: &[(&["delivery_id"], None)],
    },
    Table {
        name: "recoveries",
        columns: "id uuid, tenant_id uuid, endpoint_id uuid, since bigint, until bigint, everything boolean, behind uuid?, per_second integer,
            next_at bigint, events bigint, examined bigint, queued bigint, status text, created_at bigint, done_at bigint?",
        primary: &["id"],
        unique: &[],
        indexes: &[(&["endpoint_id"], None), (&["id"], Some("status = 'running'"))],
    },
    Table {
        name: "mails",
        columns: "id uuid, tenant_id uuid, kind text, occasion text, license_id uuid, order_id uuid, recipient text, recipient_name text?,
            status text, attempts integer, unanswered integer, next_attempt_at bigint?, lease_token uuid?,
            lease_until bigint?, response text?, created_at bigint, sent_at bigint?",
        primary: &["id"],
        unique: &[&["license_id", "kind", "occasion"]],
        indexes: &[
            (&["status", "next_attempt_at", "id"], Some("status <> 'sent'")),
            (&["tenant_id", "id"], None),
        ],
    },
    Table {
        name: "mail_templates",
        columns: "id uuid, tenant_id uuid, product_id uuid, kind text, language text, version integer, subject text?,
            intro text?, body_text text?, body_html text?, active boolean, actor text, created_at bigint",
        primary: &["id"],
        unique: &[&["tenant_id", "product_id", "kind", "language", "version"]],
        indexes: &[],
    },
    Table {
        name: "provider_calls",
        columns: "id uuid, tenant_id uuid, connection_id uuid, kind text, subject_id uuid, customer text, status text,
            attempts integer, refusals integer, next_attempt_at bigint?, lease_token uuid?, lease_until bigint?,
            error text?, created_at bigint, done_at bigint?",
        primary: &["id"],
        unique: &[&["subject_id", "customer"]],
        indexes: &[
            (&["next_attempt_at"], Some("next_attempt_at IS NOT NULL")),
            (&["connection_id"], Some("status = 'failed'")),
        ],
    },
    Table {
        name: "alert_channels",
        columns: "id uuid, tenant_id uuid, livemode boolean, code text, kind text, hint text, items text, sealed blob,
            sealed_by text, lease_token uuid?, lease_until bigint?, created_at bigint",
        primary: &["id"],
        unique: &[&["tenant_id", "code"]],
        indexes: &[],
    },
    Table {
        name: "alerts",
        columns: "id uuid, tenant_id uuid, channel_id uuid, item_id uuid?, kind text, status text, attempts integer,
            next_attempt_at bigint?, error text?, created_at bigint, sent_at bigint?",
        primary: &["id"],
        unique: &[&["item_id", "channel_id"]],
        indexes: &[
            (&["channel_id", "next_attempt_at"], Some("status = 'pending'")),
            (&["channel_id", "id"], None),
            (&["channel_id", "sent_at"], None),
        ],
    },
    Table {
        name: "attention_items",
        columns: "id uuid, tenant_id uuid, livemode boolean?, kind text, subject text, lookup text?, connection_id uuid?,
            order_id uuid?, inbound_id uuid?, detail text, opened_at bigint, closed_at bigint?, dismissed_at bigint?,
            told_at bigint?",
        primary: &["id"],
        unique: &[&["tenant_id", "kind", "subject"]],
        indexes: &[
            (&["order_id"], Some("closed_at IS NULL")),
            (&["connection_id", "kind", "lookup"], Some("closed_at IS NULL")),
            (&["inbound_id"], Some("closed_at IS NULL")),
            (&["tenant_id", "id"], Some("closed_at IS NULL")),
            (&["id"], Some("closed_at IS NULL AND told_at IS NULL")),
        ],
    },
    Table {
        name: "saved_views",
        columns: "id uuid, tenant_id uuid, name text, query text, actor text, created_at bigint",
        primary: &["id"],
        unique: &[&["tenant_id", "name"]],
        indexes: &[],
    },
    Table {
        name: "bulk_changes",
        columns: "id uuid, tenant_id uuid, livemode boolean, action text, days integer?, tag text?, actor text, note text?,
            total integer, done integer, skipped integer, status text, lease_until bigint?, created_at bigint,
            done_at bigint?",
        primary: &["id"],
        unique: &[],
        indexes: &[
            (&["tenant_id", "livemode", "id"], None),
            (&["id"], Some("status = 'running'")),
            (&["id"], Some("status IN ('reading', 'prepared')")),
        ],
    },
    Table {
        name: "bulk_items",
        columns: "change_id uuid, position integer, license_id uuid?, until bigint?, outcome text?",
        primary: &["change_id", "position"],
        unique: &[],
        indexes: &[],
    },
    Table {
        name: "idempotency_keys",
        columns: "id uuid, tenant_id uuid, key text, fingerprint blob, status integer?, sealed blob?, sealed_by text?,
            created_at bigint",
        primary: &["id"],
        unique: &[&["tenant_id", "key"]],
        indexes: &[(&["created_at"], None)],
    },
    Table {
        name: "api_requests",
        columns: "id uuid, tenant_id uuid, livemode boolean?, api_key_id uuid?, method text, route text, subject text?,
            status integer, code text?, detail text?, address text?, received_at bigint, duration_micros bigint",
        primary: &["id"],
        unique: &[],
        indexes: &[
            (&["tenant_id", "id"], None),
            (&["subject"], Some("subject IS NOT NULL AND address IS NOT NULL")),
        ],
    },
    Table {
        name: "audit_chains",
        columns: "tenant_id uuid, sequence bigint, link blob",
        primary: &["tenant_id"],
        unique: &[],
        indexes: &[],
    },
    Table {
        name: "hourly_counts",
        columns: "tenant_id uuid, livemode boolean, hour bigint, what text, times bigint",
        primary: &["tenant_id", "livemode", "hour", "what"],
        unique: &[],
        indexes: &[],
    },
    Table { name: "settings", columns: "name text, value text", primary: &["name"], unique: &[], indexes: &[] },
];

/// Tables of small rows that SQLite keeps inside the index of their primary key, so that one look finds a row. Others
/// have an index that leads to a row number, and another that leads from there to the row.
const FOUND_AT_ONCE: &[&str] = &["license_keys", "check_usage", "order_references", "hourly_counts", "rule_sales"];

/// Tables, columns and a condition: of the rows that meet it, no two have the same in these columns.
const UNIQUE_WHERE: &[(&str, &[&str], &str)] =
    &[("mail_templates", &["tenant_id", "product_id", "kind", "language"], "active")];

impl Table {
    fn create(&self, backend: DbBackend) -> TableCreateStatement {
        let mut table = sea_query::Table::create();
        table.table(self.name);
        for column in self.columns.split(',') {
            let (name, kind) = column.trim().split_once(' ').unwrap_or_default();
            table.col(definition(name, kind.trim()));
        }
        let mut primary = Index::create();
        for column in self.primary {
            primary.col(*column);
        }
        if backend == DbBackend::Sqlite && FOUND_AT_ONCE.contains(&self.name) {
            table.extra("WITHOUT ROWID");
        }
        table.primary_key(&mut primary).to_owned()
    }

    /// Unique keys and indexes; their conditions read the same in both databases.
    fn indexes(&self) -> impl Iterator<Item = String> + '_ {
        let unique = self.unique.iter().map(|columns| (*columns, None, "UNIQUE INDEX"));
        let plain = self.indexes.iter().map(|(columns, condition)| (*columns, *condition, "INDEX"));
        let of_some = UNIQUE_WHERE.iter().filter(|(table, ..)| *table == self.name);
        let of_some = of_some.map(|(_, columns, condition)| (*columns, Some(*condition), "UNIQUE INDEX"));
        unique.chain(plain).chain(of_some).enumerate().map(|(number, (columns, condition, kind))| {
            let condition = condition.map(|text| format!(" WHERE {text}")).unwrap_or_default();
            let table = self.name;
            format!("CREATE {kind} {table}_{number} ON {table} ({}){condition}", columns.join(", "))
        })
    }
}

fn definition(name: &'static str, kind: &str) -> ColumnDef {
    let (kind, nullable) = kind.strip_suffix('?').map_or((kind, false), |kind| (kind, true));
    let mut column = ColumnDef::new(name);
    match kind {
        "uuid" => column.uuid(),
        "bigint" => column.big_integer(),
        "integer" => column.integer(),
        "boolean" => column.boolean(),
        "blob" => column.blob(),
        _ => column.text(),
    };
    if !nullable {
        column.not_null();
    }
    column
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in
            TABLES.iter().chain(people::TABLES).chain(activity::TABLES).chain(brought::TABLES).chain(prices::TABLES)
        {
            manager.create_table(table.create(manager.get_database_backend())).await?;
            for index in table.indexes() {
                manager.get_connection().execute_unprepared(&index).await?;
            }
        }
        Ok(())
    }
}
