//! The tables of members: who they are, where they are signed in, and how they prove it.

use super::Table;

pub(super) const TABLES: &[Table] = &[
    Table {
        name: "members",
        columns:
            "id uuid, home uuid, email_normalised text, email text, name text, password text?, authenticator blob?,
            code_step bigint?, wrong_in_a_row integer, wrong_at bigint?, created_at bigint",
        primary: &["id"],
        unique: &[&["email_normalised", "home"]],
        indexes: &[],
    },
    Table {
        name: "memberships",
        columns: "member_id uuid, tenant_id uuid, role text, created_at bigint",
        primary: &["member_id", "tenant_id"],
        unique: &[],
        indexes: &[(&["tenant_id"], None)],
    },
    Table {
        name: "sessions",
        columns:
            "id uuid, member_id uuid, hash blob, address text, agent text, created_at bigint, confirmed_at bigint?,
            seen_at bigint, expires_at bigint, tenant_id uuid?, has_factor boolean",
        primary: &["id"],
        unique: &[],
        indexes: &[(&["member_id"], None), (&["expires_at"], None), (&["tenant_id"], Some("tenant_id IS NOT NULL"))],
    },
    Table {
        name: "identity_providers",
        columns: "id uuid, tenant_id uuid, name text, issuer text, client_id text, sealed blob, sealed_by text,
            domains text, newcomers text?, required boolean, created_at bigint, updated_at bigint",
        primary: &["id"],
        unique: &[&["tenant_id"]],
        indexes: &[],
    },
    Table {
        name: "member_identities",
        columns: "tenant_id uuid, issuer text, subject text, member_id uuid, created_at bigint",
        primary: &["tenant_id", "issuer", "subject"],
        unique: &[&["member_id", "tenant_id", "issuer"]],
        indexes: &[],
    },
    Table {
        name: "identity_visits",
        columns: "id uuid, tenant_id uuid, hash blob, purpose text, session_id uuid?, next text, created_at bigint,
            expires_at bigint",
        primary: &["id"],
        unique: &[],
        indexes: &[(&["expires_at"], None)],
    },
    Table {
        name: "invitations",
        columns: "id uuid, tenant_id uuid, hash blob, email text?, role text?, created_at bigint, expires_at bigint",
        primary: &["id"],
        unique: &[],
        indexes: &[(&["tenant_id"], None), (&["expires_at"], None)],
    },
    Table {
        name: "passkeys",
        columns: "id uuid, member_id uuid, credential_id blob, public_key blob, counter bigint, party text,
            is_synced boolean, name text, created_at bigint, used_at bigint?",
        primary: &["id"],
        unique: &[&["credential_id"]],
        indexes: &[(&["member_id"], None)],
    },
    Table {
        name: "spent_challenges",
        columns: "hash blob, expires_at bigint",
        primary: &["hash"],
        unique: &[],
        indexes: &[(&["expires_at"], None)],
    },
];
