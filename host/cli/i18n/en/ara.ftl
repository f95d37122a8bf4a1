# Messages of jpkise ara and jpkise omapi.
help-ara = Access rules: which app may talk to which applet
help-ara-list = Shows the rules of the card's ARA-M in words
help-ara-add = Adds rules that let an app, or every app, do something with an applet
help-ara-remove = Removes the rules of an applet, of an app, or of both together
help-ara-clear = Removes every rule
help-ara-diff = Shows what "apply" would change
help-ara-apply = Makes the rules those of a rule file; writes only what differs, and keeps the rules of before
help-ara-refresh = Changes the refresh tag, so that phones read the rules again
help-ara-check = Tells whether an app gets through to an applet: exit 0 yes, 5 no
help-ara-explain = As "check", with every rule, what became of it, and the searches made
help-ara-hashes = Shows every hash of an app's certificates, which one a rule names, and why
help-ara-preset = Shows the ready filters for JPKI apps, made from the applet's command table
help-omapi = What an app on the phone sees of the secure element
help-omapi-run = Makes a script of Open Mobile API calls as an app, behind the access control enforcer
arg-ara-aid = Applet: its AID, "all" (every applet no other rule names), or "default" (selected without an AID)
arg-apk = The app: an APK signed with v1, v2, v3 or v3.1
arg-cert = The app's signing certificate, DER or PEM
arg-hash = Hash of the app's signing certificate: SHA-256 or SHA-1, hexadecimal (repeatable)
arg-unverified = Take the certificates of the APK without verifying its signatures; proves nothing
arg-every-app = Every app, in place of one
arg-ara-apdu = always, never, a preset ("jpkise ara preset"), or filters as 00A40000/F0FF0000 (repeatable)
arg-ara-check-apdu = A command of the app: does it pass too?
arg-ara-explain-apdu = A command of the app: does it pass too?
arg-ara-nfc = NFC transaction events of the applet: always or never (default: as the APDU rule says)
arg-ara-sha1 = Name the SHA-1 hash, for readers older than Android 10
arg-ara-domain = Security domain that the ARA-M belongs to (default: the issuer's)
arg-ara-direct = Open the secure channel with the ARA-M itself instead of its domain
arg-ara-rollback = Where the rules of before are kept, for "apply" (default: ara-rollback-TIME.toml)
arg-ara-rules = The rule file (TOML)
arg-ara-name = Name of one preset (default: all)
arg-gp-ara-rules = Its access rules (a rule file): the applet becomes selectable only when they are written
arg-gp-with-rules = Delete the access rules of the deleted applets too, while they are locked
arg-omapi-script = The calls, one a line: open AID [P2], basic, HEX, response, next, use, close; "-> 9000" tells what must come (default: standard input)
arg-privileged = The app holds the system permission: no rule is asked
arg-strict = Without an ARA-M nobody has access; Android's embedded elements are open to everybody then

ara-rules = { $count ->
    [one] one rule
   *[other] { $count } rules
  }, refresh tag { $tag }
ara-none = No rules: a phone lets no app through.
ara-ignored = Unknown objects, passed over as readers do: { $tags }
ara-applet = applet
ara-app = app
ara-apdu = commands
ara-nfc = NFC events
ara-form = found by
ara-applet-all = all others
ara-applet-default = default applet
ara-applet-carrier = (carrier privileges)
ara-app-all = every app
ara-always = always
ara-never = never
ara-unsaid = -
ara-carrier = privileges
ara-nfc-as-apdu = as commands
ara-filters = { $count ->
    [one] one filter
   *[other] { $count } filters
  }
ara-form-a = A: applet, app
ara-form-b = B: applet
ara-form-c = C: app
ara-form-d = D: anything
ara-form-carrier = not for applets

ara-app-verified = { $name }: signatures verified
ara-app-unverified = { $name }: signatures NOT verified
ara-app-file = { $name }
ara-role-signer = signer: Android compares rules with this certificate
ara-role-one-of-signers = one of several signers: Android compares rules with each
ara-role-oldest-of-lineage = first key of a rotated app: Android compares rules with this one, whichever key signed last
ara-role-middle-of-lineage = a key between the first and the last: not compared
ara-role-newest-of-lineage = key of today after rotation: Android does not compare it; it gets a rule of its own, so that no gap opens
ara-role-older-scheme = signer of an older scheme, outranked by a newer one: not compared
ara-role-given = the certificate given
ara-role-hash = the hash given
ara-hash-why = ← goes into a rule: SHA-256 of the whole certificate. SHA-1 (--sha1) only for Android 9, which refuses the whole list for one SHA-256 hash.

ara-unchanged = The rules are as wished already; nothing to write.
ara-guard = While a rule is replaced by its opposite, a guard keeps every app out of that applet.
ara-consent = Change the access rules of the card in "{ $reader }" as shown?
ara-refresh-consent = Change the refresh tag of the card in "{ $reader }"?
ara-rollback = The rules of before are in { $path }.
ara-written = Written, and read back as wished. Refresh tag { $tag }.
ara-dry-run = Nothing was sent. These commands would go into the secure channel (shown in clear):

ara-tried = Its hashes, in the order in which they are tried:
ara-search-a = this applet, this app
ara-search-a-conflict = this applet, another app
ara-search-b = this applet, every app
ara-search-c = all applets, this app
ara-search-c-conflict = all applets, another app
ara-search-d = all applets, every app
ara-found = rule { $rules }
ara-found-nothing = none
ara-verdict-decided = Rule { $rule } decided.
ara-verdict-outweighed-in-merge = Rule { $rule } has the deciding reference, but a stricter rule with the same reference outweighs it.
ara-verdict-shut-out = Rule { $rule } names another app, and thereby shuts out every app that no rule names.
ara-verdict-later-hash = Rule { $rule } is for another hash of this app; the first hash that has a rule decides.
ara-verdict-beaten = Rule { $rule } was beaten: search { $at } would find it, search { $by } had decided before.
ara-verdict-other-applet = Rule { $rule } is about another applet.
ara-verdict-partial = Rule { $rule } names a longer or shorter AID that begins alike: AIDs are compared whole, so it is not found, although a SELECT with the shorter one may reach the same applet.
ara-verdict-carrier = Rule { $rule } grants carrier privileges and has no part in access to applets.
ara-verdict-other-app = Rule { $rule } is for another app.
ara-result-never = DENIED (search { $step }): { $why }
ara-result-always = ALLOWED, every command (search { $step }): { $why }
ara-result-filters = ALLOWED, commands by filter (search { $step }): { $why }
ara-why-a = rule { $rules } is for this applet and this app.
ara-why-a-conflict = rule { $rules } lets other apps to this applet; who is not named is shut out, whatever wider rules say.
ara-why-b = rule { $rules } is for this applet and every app.
ara-why-c = rule { $rules } is for all applets and this app.
ara-why-c-conflict = rule { $rules } is for all applets and other apps; who is not named is shut out.
ara-why-d = rule { $rules } is for all applets and every app.
ara-why-none = no rule is about this applet and this app; what is not allowed is denied.
ara-apdu-unstated = The deciding rules say nothing of commands: that means never.
ara-result-nfc = NFC events: yes
ara-result-no-nfc = NFC events: no
ara-result-empty = The ARA-M is there and holds no rule at all.
ara-passes = The command passes.
ara-passes-filter = The command passes by the filter { $filter }.
ara-passes-platform = The command passes for no app: the phone keeps it to itself.
ara-passes-not = The command does not pass: no filter lets it.
ara-passes-no-channel = The command is never sent: there is no channel.

gp-plan-rules-go = delete { $count ->
    [one] its access rule
   *[other] its { $count } access rules
  }, the applet locked
gp-plan-rules-come = write { $count ->
    [one] one access rule
   *[other] { $count } access rules
  } before the applet can be selected

ara-preset-jpki-user = For apps that use the keys: read, verify, change their own secrets, sign.
ara-preset-jpki-admin-relay = For the issuing app: the same, and the SP-TSM's secure channel relayed.

omapi-opened = channel { $number }, answer to SELECT { $response }
omapi-no-channel = no channel of that name was opened

err-ara-missing = the card has no ARA-M
rec-ara-missing = The ARA-M (A00000015141434C00) comes with the secure element, or is installed: "jpkise gp install".
rec-ara-missing-open = On a phone, an embedded element without ARA-M is open to every app.
err-ara-faulty = the ARA-M answers what no phone accepts
rec-ara-faulty = A phone that reads this denies every app. Look at the answer with --trace FILE; "jpkise ara clear" empties the list.
rec-ara-domain = The ARA-M may belong to another domain: name it with --domain, or talk to the ARA-M itself with --direct.
err-ara-partial = { $written } of { $of } command objects are written, then: { $cause }
rec-ara-partial = What is written opens nothing that neither the old nor the new rules open. The same command goes on from here.
rec-ara-rollback = The rules of before are in { $path }: "jpkise ara apply" brings them back.
err-ara-after = the rules on the card are not those that were written
err-ara-contradiction = two rules for applet { $aid } and app { $app } say opposite things
rec-ara-contradiction = Remove one of them first, or change it in the rule file.
err-ara-no-such-rule = no rule on the card is meant by that
rec-ara-no-such-rule = "jpkise ara list" shows them.
err-ara-which-rules = which rules?
rec-ara-which-rules = Name an applet (--aid), an app (--apk, --cert, --hash, --every-app), or both; "jpkise ara clear" removes all.
err-ara-which-app = which app?
rec-ara-which-app = Name it with --apk FILE, --cert FILE or --hash HEX.
err-ara-no-access = the rule states no access
rec-ara-no-access = Give --apdu (always, never, a preset or filters), or --nfc, or both.
err-ara-carrier = carrier privileges are no access to an applet
rec-ara-carrier = A rule file grants them: aid = "carrier" and permissions (docs/ara.md), then "jpkise ara apply".
err-ara-dead-filter = no command can pass the filter { $filter }: its header has bits outside its mask
rec-ara-dead-filter = A header bit that the mask leaves out never matches: clear it in the header, or set it in the mask.
err-ara-apdu = "{ $word }" is neither always nor never nor a preset
err-ara-filter = this is no filter
rec-ara-apdu = "jpkise ara preset" lists presets; a filter is header and mask, four bytes each: 00A40000/F0FF0000.
err-ara-hash = "{ $text }" is no hash
err-ara-hash-length = a hash of { $length } bytes: SHA-1 has 20, SHA-256 has 32
rec-ara-hash = "apksigner verify --print-certs" prints it as "certificate SHA-256 digest"; the line for the public key is another.
err-ara-no-sha1 = only the SHA-256 hash is known
rec-ara-no-sha1 = Give the APK, the certificate, or its SHA-1 hash.
err-ara-certificate = { $path } is no certificate
err-ara-preset = there is no preset "{ $name }"
err-rule-file = { $path } is no rule file that can be used; nothing was written
rec-rule-file = docs/ara.md shows every key of a rule file.
err-apk-none = { $path } is no APK
rec-apk-none = Is the file whole? Download or build it again.
err-apk-unsigned = { $path } is not signed
rec-apk-unsigned = Only a signed APK has a certificate that a rule can name: sign it with apksigner, or take the one that is distributed.
err-apk-malformed = the signature block of { $path } is malformed
err-apk-algorithm = { $path } is signed with an algorithm that is not known here
rec-apk-unverified = --unverified takes the certificates all the same; their hashes prove nothing then.
err-apk-signature = the signatures of { $path } do not hold
rec-apk-signature = The file was changed after it was signed, or a signature was removed. Take it from its source again.
err-ara-denied = the app does not get through to { $aid }
rec-ara-a = The rule for this app says never, or nothing of commands: change it in the rule file.
rec-ara-a-conflict = Add a rule for this app and this applet: "jpkise ara add".
rec-ara-b = The rule for every app denies: add one for this app and this applet, which goes before it.
rec-ara-c = A rule for this app and this applet goes before the one for all applets.
rec-ara-c-conflict = Add a rule for this app and this applet: "jpkise ara add".
rec-ara-d = Add a rule for this app and this applet: "jpkise ara add".
rec-ara-none = Add a rule for this app and this applet: "jpkise ara add". Was the app signed again? "jpkise ara hashes" compares.
err-ara-filtered = the channel opens, but no filter lets the command pass
rec-ara-filtered = "jpkise ara explain" shows the filters.
err-ara-platform = no app may send this command: the phone refuses it
err-ara-no-rules = no rule names { $aid }: it would be open to whoever a rule for all applets lets in
rec-ara-no-rules = Write at least one rule for it in the rule file.
err-ara-other-applet = a rule names { $found }, not { $aid }
rec-ara-other-applet = The rules that come with an applet go with it: only its own may be in the file. Others are for "jpkise ara apply".
err-ara-left = { $cause }; undoing it failed too
rec-ara-left = The applet cannot be selected, so nobody reaches it. Look at "jpkise gp list" and "jpkise ara list", delete it, and begin anew.
err-omapi-script = line { $line } of the script is no call
rec-omapi-script = Calls: open AID [P2] [as NAME], basic [AID] [P2], HEX, response, next, use NAME, close [NAME]; each with "-> 9000" behind it.
err-omapi-unexpected = { $count ->
    [one] one call
   *[other] { $count } calls
  } did not end as expected
