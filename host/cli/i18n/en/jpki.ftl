# Messages of jpkise jpki.
secret-pin = PIN
secret-password = signature password
key-auth = authentication key
key-sign = signature key
state-empty = no key
state-keyed = key made, no certificate yet
state-certified = certificate stored, the user has not set a secret yet
state-active = in use
state-held = on hold
state-revoked = revoked

jpki-tries = { $secret }: { $tries ->
    [0] blocked
    [one] one try left
   *[other] { $tries } tries left
  }
jpki-last-try = This is the last try: if it is wrong, the { $secret } is blocked. Go on?
ask-secret = { $secret }:
ask-new-secret = New { $secret }:
ask-secret-again = Once more:
err-secret-missing = no { $secret } was given
rec-secret-missing = Run it on a terminal, or give --pin-stdin, --pin-file FILE or the environment variable { $variable }. It is never taken from the command line, which other users can read.
err-secrets-differ = the two entries differ; nothing was sent
err-secret-blocked = the { $secret } is blocked
rec-blocked = The service provider resets it: jpkise jpki pin reset { $key }. A plastic card needs the municipal office.
err-form-pin = a PIN is exactly 4 digits; nothing was sent, no try was spent
err-form-password-length = a signature password has 6 to 16 characters; nothing was sent, no try was spent
err-form-password-characters = a signature password consists of A-Z and 0-9; nothing was sent, no try was spent
err-form-password-mixture = a signature password has at least one letter and one digit; nothing was sent, no try was spent
rec-form = Enter it again.

err-no-application = the JPKI application { $aid } is not on this card
rec-no-application = Another AID is named with --aid; "jpkise jpki personalize" installs the applet, "--sim --personalized" is a simulated card that has it.
err-key-state = the { $key } is { $state }: { $meaning }
rec-state-empty = "jpkise jpki personalize" makes keys and certificates.
rec-state-keyed = "jpkise jpki personalize" goes on where it stopped.
rec-state-certified = The user sets an own secret by: jpkise jpki pin reset { $key }
rec-state-active = It is in use already.
rec-state-held = Release it first: jpkise jpki resume { $key }
rec-state-revoked = It never signs again: jpkise jpki wipe { $key }, then personalise anew.

jpki-dry-run = Nothing is sent. These commands would be (READ BINARY as often as the file is long):
jpki-dry-secured = [in the secure channel]
jpki-written = Written: { $path }
jpki-test-keys = These keys are published ones: whoever has this program can open the card.
jpki-token = Token { $label }, serial number { $serial }
jpki-applet = Applet version { $version }
jpki-no-version = A card of another maker: it tells neither version nor states.
jpki-on-test-keys = TEST KEYS: the domain's keys (version { $kvn }) are published ones, which everybody has.
jpki-on-own-keys = The domain's keys (version { $kvn }) are none of the published ones.
jpki-ca-line = CA above the { $key }: { $issuer }, until { $to }
column-key = key
column-state = state
column-tries = tries left
column-valid-to = certificate until
column-generation = generation
column-signatures = signatures
column-resets = resets
column-locked = behind the secret

cert-subject = subject
cert-issuer = issuer
cert-serial = serial number
cert-from = valid from
cert-to = valid to
cert-usage = key usage
cert-policy = policy
cert-sha256 = SHA-256
cert-bytes = bytes
cert-name = name
cert-birth = birth date
cert-sex = sex
cert-address = address
sex-male = male
sex-female = female
sex-unknown = not stated
cert-test = TEST CERTIFICATE: issued by a test authority, worth nothing outside a laboratory.
err-certificate = a certificate cannot be read
err-certificate-file = { $path } holds no certificate, neither PEM nor DER

jpki-signed = Signed as { $subject }
err-scheme-form = --scheme is for --form raw: CMS has its own
err-scheme-input = the scheme does not take { $length } bytes
rec-scheme-input = verbatim takes 1 to 245 bytes, the digest schemes exactly 32; "sha256" and the message schemes take any file.
err-signature-own = the card's signature does not fit its own certificate; nothing was written
err-cms = the CMS message cannot be made or read
err-challenge = a challenge has 16 to 256 bytes
jpki-authenticated = Authenticated: { $subject }
jpki-ca-from-card = The CA certificate is the card's own and was not compared with one you trust: name it with --ca.
jpki-no-revocation = Whether the certificate has been revoked was not checked.

jpki-valid = The signature holds, and the signer's certificate was issued by a CA you trust.
jpki-signing-time = Signed, as the signer says, at { $time }
err-verify-what = name what is to be checked: --cms FILE, or --signature FILE with --cert FILE
err-verify-input = name the file that was signed
err-nothing-attached = the message holds no content to write
err-content-missing = the content is not in the message: name the file that was signed
err-content-twice = the message holds its content itself: leave the file out
err-no-cms = no CMS signed message
err-content-differs = the content is not the one that was signed
err-signature-wrong = the signature is wrong
err-untrusted = none of the CA certificates given has issued the signer's certificate
rec-untrusted = Give the CA's certificate with --ca: "jpkise jpki cert sign-ca" reads it from the card.
err-chain = the signer's certificate is not to be trusted: { $failed }
check-signature = it is not signed by the CA
check-ca-signature = the CA certificate is not signed by itself
check-issuer-name = its issuer is not the CA's name
check-validity = it is not valid at that time
check-ca-validity = the CA certificate is not valid at that time
check-ca-basic-constraints = the CA is none by its own certificate
check-ca-key-usage = the CA may not sign certificates
check-end-entity = it is a CA's certificate
check-key-usage = its key usage is not that of its type
check-extended-key-usage = its extended key usage is not that of its type
check-policy = its policy is not that of its type
check-authority-key-identifier = it names another CA key
check-subject-key-identifier = a key identifier does not fit its key
check-key = its key is not RSA-2048 with exponent 65537
check-extensions = it has an unknown critical extension, or one twice

jpki-changed = The { $secret } is changed.
jpki-reset-consent = This gives up the present { $secret } for ever and sets a new one. Go on?
jpki-reset-done = The { $secret } is the user's own again, and its tries are full. The service provider has not seen it.

jpki-nothing-to-do = Nothing to do: it is so already.
jpki-hold-consent = This puts on hold: { $keys }. Nothing can be signed with it until it is released. Go on?
jpki-resume-consent = This releases from hold: { $keys }. Go on?
jpki-revoke-consent = This revokes for ever: { $keys }. It will never sign again, and its certificate can no longer be read. Go on?
jpki-wipe-consent = This deletes key, certificate and secret for ever: { $keys }. Go on?
jpki-now = { $key }: { $state } ({ $meaning }), attested by the card
err-partial = done in part, then: { $cause }
rec-partial = The same command does the rest; "jpkise jpki status" shows what there is.

stage-identify = Who the secure element is
stage-inspect = What is on it
stage-load = Loading the applet's package
stage-create-domain = Making the service provider's domain
stage-first-keys = Putting the domain's first keys, and proving them
stage-install = Installing the applet
stage-extradite = Handing the applet to the domain
stage-access-rules = Writing access rules
stage-personalize = Personalising the applet
stage-rotate-keys = Replacing the first keys by the service provider's own
stage-prove = Proving the own keys, and a last attestation
step-inspect = asking for the state
step-delete = deleting: { $key }
step-generate = making a key pair on the chip: { $key }
step-read-key = reading the public key: { $key }
step-prove = the chip proves possession: { $key }
step-issue = the CA certifies: { $key }
step-store = storing certificates, token information and temporary secrets
step-set-secret = the user's app sets the user's own secret: { $key }
step-attest = the chip attests its state
jpki-step =   { $number }/{ $of } { $step }
jpki-loaded = Loaded in { $blocks } blocks
jpki-rules = Access rules of the applet: { $added } to write, { $removed } to delete
jpki-dry-run-plan = Nothing is sent that changes the card. What the plan asks for, each part only where it is missing (paged reads and blocks as often as needed):
jpki-personalize-consent = This makes keys, stores certificates and replaces the keys of domain { $domain } (applet { $instance }) on the card in "{ $reader }". Go on?
jpki-personalized = Personalised: { $chip }
jpki-unchanged = Nothing to do: { $chip } is as the plan says. Nothing was changed.
jpki-record = Record: { $path }
jpki-record-rules = { $count ->
    [one] one access rule says which apps reach the applet:
   *[other] { $count } access rules say which apps reach the applet:
  }
jpki-record-key = { $key }: { $state }, certificate { $serial }
jpki-record-domain = domain keys: version { $kvn }, check values { $values }
jpki-record-test = TEST KEYS: these domain keys are published ones; this secure element is for laboratories only.
err-plan = { $path } is no plan that can be carried out
rec-plan = docs/jpki.md describes every key of a plan.
err-plan-key = the keys that the plan names { $name } cannot be used
err-plan-cap = { $path } holds another package than the plan names
err-plan-rules = the access rules in { $path } cannot be used
err-plan-ca = the test CA in { $path } cannot be used
err-plan-subject = "{ $subject }" is no subject name (RFC 4514, as CN=…,C=JP)
err-plan-lab = this plan uses published keys, the test CA or the laboratory's PIN on a real card; that needs --lab
err-waiting = the keys are made and the CA is to certify them; the same command goes on when its certificates are there
rec-waiting = Give { $request } to the CA, and put its certificate to { $certificate }.
err-personalize-partial = done in part, stopped at "{ $stage }": { $cause }
rec-personalize-partial = Run the same command again: it goes on where this stopped.
rec-record = Name another file with --record, or free space and check the permissions there.
rec-plan-issuer = Name the issuer's keys in the plan ([keys] issuer) to have it installed.
rec-plan-cap = Name the CAP in the plan ([applet] cap) to have it loaded.
err-other-keys = the domain { $domain } holds none of the keys that the plan names
rec-other-keys = Nothing was tried that the card counts. Check [keys] and the versions in the plan.
err-same-keys = the plan's own keys are its first keys: the first set would stay
