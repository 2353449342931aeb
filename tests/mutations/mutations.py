"""What breaks each invariant of the feed, and a test that has to fail then."""

from typing import NamedTuple


class Mutation(NamedTuple):
    invariant: str
    name: str
    # A test binary and a test in it.
    test: str
    edits: list[tuple[str, str, str]]


VERSIONS = "functions/shared/feed/src/table/versions.rs"
ROWS = "functions/shared/feed/src/table/rows.rs"
OBJECTS = "functions/shared/feed/src/objects.rs"
UPLOADS = "functions/shared/feed/src/objects/uploads.rs"
KEYS = "functions/shared/feed/src/keys.rs"
INGEST = "functions/shared/ingest/src/lib.rs"
COMMIT = "functions/commit/src/lib.rs"
DELETED = "OR (#state = :deleted AND sha256 = :sha256 AND #object <> :object)"

ONE_CONTENT = "1 one content"
OBJECT = "2 its object"
KEPT = "3 kept"
NOTHING = "4 refused, nothing changed"
CALLS = "5 few calls"
SECRETS = "6 secrets"
TEMPLATE_AND_CODE = "7 template and code"

TEMPLATE = "template.yaml"
PUSH = "functions/push/src/lib.rs"
PUSH_VARIABLES = """          NUTHATCH_TABLE: !Ref Table
          NUTHATCH_BUCKET: !Ref Bucket
          NUTHATCH_MAX_PACKAGE_BYTES: !Ref MaxPackageBytes
      Events:
        Push:
"""
UPLOAD_ROUTE = """      Events:
        Upload:
          Type: Api
          Properties:
            RestApiId: !Ref Api
            Method: POST
            Path: /api/v2/upload
"""
PUSH_DISCARDS = """              - Sid: DiscardWhatLost
                Effect: Allow
                Action: [s3:DeleteObject]
                Resource: !Sub "${Bucket.Arn}/packages/*"

  PushLog:
"""

MUTATIONS = [
    Mutation(
        ONE_CONTENT,
        "a put without a condition",
        "proof::orders::races_of_pushes",
        [(VERSIONS, DELETED, "OR attribute_exists(pk) " + DELETED)],
    ),
    Mutation(
        ONE_CONTENT,
        "a deleted number comes back with any bytes",
        "feed::a_deleted_number_never_comes_back_with_other_bytes",
        [
            (VERSIONS, "sha256 = :sha256 AND", "(sha256 = :sha256 OR sha256 <> :sha256) AND"),
            (ROWS, "&& self.sha256 == sha256 && object != Some(&self.object)", "&& object != Some(&self.object)"),
        ],
    ),
    Mutation(
        ONE_CONTENT,
        "all pushes of a version share an object",
        "feed::of_64_racing_pushes",
        [(OBJECTS, "Self::of(id, version, Ulid::new())", "Self::of(id, version, Ulid::nil())")],
    ),
    Mutation(
        ONE_CONTENT,
        "an address that replaces what is there",
        "conformance::on_lambda::an_upload_is_visible_once_it_is_committed",
        [(UPLOADS, '            .if_none_match("*")\n', "")],
    ),
    Mutation(
        ONE_CONTENT,
        "a replay by another key",
        "feed::another_session_key_or_content_is_another_push",
        [(ROWS, "            && self.pushed_by == *key\n", "            && key.as_str() != \"\"\n")],
    ),
    Mutation(
        OBJECT,
        "a commit before the upload",
        "proof::faults::pairs_of_faults_of_a_push",
        [
            (
                INGEST,
                """        tokio::try_join!(
            Box::pin(self.put(&row, &bytes)),
            Box::pin(self.put_attached(&row, attached)),
        )?;
""",
                "",
            ),
            (
                INGEST,
                "            Commit::Done => {\n",
                """            Commit::Done => {
                tokio::try_join!(
                    Box::pin(self.put(&row, &bytes)),
                    Box::pin(self.put_attached(&row, attached)),
                )?;
""",
            ),
        ],
    ),
    Mutation(
        OBJECT,
        "a loser that removes the winner's object",
        "proof::orders::races_of_pushes",
        [(INGEST, "if is_kept {", "if is_kept && found.size == 0 {")],
    ),
    Mutation(
        OBJECT,
        "what was deleted comes back as the object that it had",
        "feed::what_was_deleted_does_not_come_back_as_the_object_that_it_had",
        [
            (VERSIONS, " AND #object <> :object)", " AND (#object <> :object OR #object = :object))"),
            (ROWS, "&& self.sha256 == sha256 && object != Some(&self.object)", "&& self.sha256 == sha256 && object != None"),
        ],
    ),
    Mutation(
        OBJECT,
        "a delete of the bytes before their row",
        "proof::faults::single_faults_of_writes",
        [
            (
                "functions/unlist/src/lib.rs",
                "            objects.mark_deleted(&row.object).await?;\n",
                "            objects.mark_deleted(&row.object).await?;\n            objects.delete(&row.object).await?;\n",
            )
        ],
    ),
    Mutation(
        OBJECT,
        "an address that takes any bytes of that length",
        "conformance::on_lambda::an_address_takes_the_declared_bytes_and_no_others",
        [(UPLOADS, "            .checksum_sha256(BASE64_STANDARD.encode(stored.sha256))\n", "")],
    ),
    Mutation(
        OBJECT,
        "an upload committed whatever was stored",
        "conformance::on_lambda::what_was_not_uploaded_cannot_be_committed",
        [(COMMIT, "if stored != Some(declared.stored) {", "if stored.is_none() {")],
    ),
    Mutation(
        KEPT,
        "a commit of which nobody knows taken for done",
        "proof::faults::pairs_of_faults_of_a_push",
        [
            (
                INGEST,
                "self.table.commit(&row, package, may_restore).await? {",
                "self.table.commit(&row, package, may_restore).await.unwrap_or(Commit::Done) {",
            )
        ],
    ),
    Mutation(
        KEPT,
        "an object of which nobody knows taken for stored",
        "proof::faults::pairs_of_faults_of_a_push",
        [(OBJECTS, "Err(error) if is_status(&error, 412) => Ok(()),", "Err(error) if !is_status(&error, 100) => Ok(()),")],
    ),
    Mutation(
        KEPT,
        "a read of a version that may be an old one",
        "feed::calls::push_makes_four_calls",
        [("functions/shared/feed/src/table.rs", '            .key("sk", AttributeValue::S(sk))\n            .consistent_read(true)', '            .key("sk", AttributeValue::S(sk))\n            .consistent_read(false)')],
    ),
    Mutation(
        KEPT,
        "a change that leaves the package's stamp",
        "feed::every_view_of_another_instance_has_an_unlisting_at_once",
        [(VERSIONS, "        writes.push(put(self.put(stamp))?);\n", "        drop(stamp);\n")],
    ),
    Mutation(
        KEPT,
        "a change without a line in the log",
        "proof::faults::single_faults_of_writes",
        [(VERSIONS, "        writes.push(put(self.put(to_item(key, change)?))?);\n", "        to_item(key, change)?;\n")],
    ),
    Mutation(
        KEPT,
        "an unlist without a condition",
        "feed::unlisting_and_relisting_twice_does_no_more",
        [(VERSIONS, '"#state = :visible AND listed <> :listed"', '"#state = :visible AND (listed <> :listed OR listed = :listed)"')],
    ),
    Mutation(
        KEPT,
        "a relist of what was deleted",
        "feed::a_deleted_version_is_gone_from_every_view",
        [(VERSIONS, '"#state = :visible AND listed <> :listed"', '"listed <> :listed AND (#state = :visible OR attribute_exists(pk))"')],
    ),
    Mutation(
        NOTHING,
        "a refused upload that stays",
        "conformance::on_lambda::what_is_not_as_declared_is_refused",
        [(COMMIT, "                self.ingest.objects.discard(&uploaded).await;\n", "")],
    ),
    Mutation(
        NOTHING,
        "a lost push that leaves its object",
        "feed::of_64_racing_pushes",
        [(INGEST, "if !matches!(bytes, Bytes::InPlace(_)) {", "if matches!(bytes, Bytes::InPlace(_)) {")],
    ),
    Mutation(
        NOTHING,
        "a delete that leaves metadata",
        "proof::faults::single_faults_of_writes",
        [(VERSIONS, "            self.removal(metadata_key(id, version))?,\n", "")],
    ),
    Mutation(
        NOTHING,
        "a key checked after the body",
        "feed::a_stranger_is_refused_before_the_body_is_read",
        [
            (
                "infra/nuthatch/src/gateway.rs",
                "        let caller = if route.authorized {",
                """        let whole = std::mem::replace(request, Request::new(feed::Body::empty()));
        let (parts, body) = whole.into_parts();
        let body = http_body_util::BodyExt::collect(body).await.map(|body| body.to_bytes());
        *request = Request::from_parts(parts, feed::Body::from(body.unwrap_or_default()));
        let caller = if route.authorized {""",
            )
        ],
    ),
    Mutation(
        NOTHING,
        "a key that is good for every id",
        "feed::a_key_is_good_for_its_ids_alone",
        [("functions/shared/feed/src/authorization.rs", "ids.iter().any(|glob| glob.matches(id))", "ids.len() < 99 || id.key().is_empty()")],
    ),
    Mutation(
        NOTHING,
        "a key that may do everything",
        "feed::a_scope_opens_its_own_doors_alone",
        [(KEYS, "self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)", "self.scopes.contains(&scope) || !self.scopes.contains(&Scope::Admin)")],
    ),
    Mutation(
        NOTHING,
        "a revoked key that opens",
        "feed::a_revoked_key_stops_within_a_minute",
        [(KEYS, "self.revoked.is_none() && self.expires", "self.expires")],
    ),
    Mutation(
        CALLS,
        "a call more than a push needs",
        "feed::calls::push_makes_four_calls",
        [(INGEST, "        let warning = warning(&package, &row);", "        self.table.stamp(&nuspec.id).await?;\n        let warning = warning(&package, &row);")],
    ),
    Mutation(
        SECRETS,
        "a key stored as it is",
        "feed::a_secret_is_nowhere_in_the_table",
        [(KEYS, "KeyHash(hex(&Sha256::digest(self.0.as_bytes())))", "KeyHash(self.0.clone())"), (KEYS, "use sha2::{Digest, Sha256};\n", ""), (KEYS, "fn hex(", "#[expect(dead_code)]\nfn hex(")],
    ),
    Mutation(
        SECRETS,
        "a key that prints itself",
        "unit-feed::a_key_does_not_print_itself",
        [(KEYS, 'f.write_str("ApiKey(…)")', "f.write_str(&self.0)")],
    ),
    Mutation(
        TEMPLATE_AND_CODE,
        "a route that the protocol does not know",
        "template::every_route_of_the_protocol_is_in_the_template",
        [
            (
                TEMPLATE,
                UPLOAD_ROUTE,
                UPLOAD_ROUTE
                + """        More:
          Type: Api
          Properties:
            RestApiId: !Ref Api
            Method: POST
            Path: /api/v2/more
""",
            )
        ],
    ),
    Mutation(
        TEMPLATE_AND_CODE,
        "a verb without a route",
        "template::roles::every_verb_has_a_route",
        [(TEMPLATE, UPLOAD_ROUTE, "")],
    ),
    Mutation(
        TEMPLATE_AND_CODE,
        "a variable that nobody reads",
        "template::roles::every_variable_of_a_function_is_read",
        [(TEMPLATE, PUSH_VARIABLES, "          NUTHATCH_READ_ACCESS: keys\n" + PUSH_VARIABLES)],
    ),
    Mutation(
        TEMPLATE_AND_CODE,
        "a variable that the template does not give",
        "template::roles::every_variable_of_a_function_is_read",
        [(PUSH, "        Ok(Self {\n", "        let _: Option<String> = environment.optional(\"NUTHATCH_OTHER\")?;\n        Ok(Self {\n")],
    ),
    Mutation(
        TEMPLATE_AND_CODE,
        "an action that no function takes",
        "template::roles::a_role_allows_what_its_function_was_seen_to_do",
        [(TEMPLATE, PUSH_DISCARDS, PUSH_DISCARDS.replace("[s3:DeleteObject]", "[s3:DeleteObject, s3:GetObject]"))],
    ),
    Mutation(
        TEMPLATE_AND_CODE,
        "an action that the role does not allow",
        "template::roles::a_role_allows_what_its_function_was_seen_to_do",
        [(TEMPLATE, PUSH_DISCARDS, "\n  PushLog:\n")],
    ),
]
