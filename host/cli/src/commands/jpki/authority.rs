//! The CA of a plan: the test CA kept in a folder, or another one that is asked by files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jpkise_jpki::ca::{Hierarchy, Subscriber, TestCa};
use jpkise_jpki::csr::Csr;
use jpkise_jpki::edge::KeyRef;
use jpkise_jpki::personalize::{Issued, Issuer, IssuerError, TestIssuer};
use jpkise_jpki::provision::{CaPart, PlanFile};
use jpkise_jpki::Cert;
use jpkise_lab::files::write_whole;
use rand::rngs::OsRng;
use time::OffsetDateTime;
use x509_cert::name::Name;

use super::certificate::from_file;
use super::personalize::LoadedPlan;
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_read;
use crate::i18n::Text;

/// Whoever certifies.
pub enum Authority {
    /// The test CA and whom it certifies.
    Test(Box<Hierarchy>, Box<Subscriber>),
    /// Files.
    Files(Box<Files>),
}

/// Requests out, certificates in.
pub struct Files {
    folder: PathBuf,
    chip: String,
    cas: [Cert; 2],
    subjects: [Name; 2],
}

impl Authority {
    /// Reads what the plan names. A test CA that is not there is made; it stays for the next SE.
    pub fn open(loaded: &LoadedPlan, chip: &str) -> Result<Self, CliError> {
        match &loaded.plan.ca {
            CaPart::Test { folder } => {
                let folder = loaded.path(folder);
                let hierarchy = Hierarchy {
                    auth: test_ca(&folder, KeyRef::Auth)?,
                    sign: test_ca(&folder, KeyRef::Sign)?,
                };
                Ok(Self::Test(Box::new(hierarchy), Box::new(loaded.plan.subscriber())))
            }
            CaPart::Files { folder, auth_ca, sign_ca, .. } => {
                let ca = |path: &Path| -> Result<Cert, CliError> {
                    let found = from_file(&loaded.path(path))?.into_iter().next();
                    found.ok_or_else(|| CliError::new(Exit::Usage, Text::new("err-certificate")))
                };
                let subject = |key: KeyRef| {
                    let text = loaded
                        .plan
                        .subject(key)
                        .map_or_else(|| format!("CN={chip}-{key},C=JP"), str::to_owned);
                    Name::from_str(&text).map_err(|error| {
                        CliError::new(Exit::Usage, Text::new("err-plan-subject").with("subject", &text))
                            .detail(error.to_string())
                    })
                };
                let folder = loaded.path(folder);
                fs::create_dir_all(&folder).map_err(CliError::from)?;
                Ok(Self::Files(Box::new(Files {
                    folder,
                    chip: chip.to_owned(),
                    cas: [ca(auth_ca)?, ca(sign_ca)?],
                    subjects: [subject(KeyRef::Auth)?, subject(KeyRef::Sign)?],
                })))
            }
        }
    }

    /// As personalisation sees it.
    pub fn issuer<'a>(&'a mut self, plan: &PlanFile) -> Box<dyn Issuer + 'a> {
        match self {
            Self::Test(hierarchy, subscriber) => Box::new(TestIssuer {
                hierarchy,
                subscriber,
                profile: plan.token.profile,
                now: OffsetDateTime::now_utc(),
                not_after_limit: None,
                rng: OsRng,
            }),
            Self::Files(files) => Box::new(FileIssuer(files)),
        }
    }

    /// Request and certificate of each key, where files are exchanged.
    pub fn exchange(&self) -> Vec<(PathBuf, PathBuf)> {
        match self {
            Self::Test(..) => Vec::new(),
            Self::Files(files) => {
                KeyRef::ALL.into_iter().map(|key| (files.request(key), files.certificate(key))).collect()
            }
        }
    }
}

/// The test CA of one certificate type in a folder.
fn test_ca(folder: &Path, key: KeyRef) -> Result<TestCa, CliError> {
    let path = folder.join(format!("{key}-ca.pem"));
    match fs::read_to_string(&path) {
        Ok(text) => {
            let ca = TestCa::from_pem(&text).map_err(|error| bad(&path, &error.to_string()))?;
            if ca.key_ref() == key {
                Ok(ca)
            } else {
                Err(bad(&path, "the CA of the other certificate type"))
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let ca = TestCa::generate(key, OffsetDateTime::now_utc(), &mut OsRng)
                .map_err(|e| CliError::internal(e.to_string()))?;
            fs::create_dir_all(folder)?;
            let text = ca.to_pem().map_err(|e| CliError::internal(e.to_string()))?;
            write_whole(&path, text.as_bytes())?;
            private(&path)?;
            // For those who verify: without the private key.
            write_whole(&folder.join(format!("{key}-ca.crt")), ca.certificate().to_pem()?.as_bytes())?;
            Ok(ca)
        }
        Err(error) => Err(file_not_read(&path, &error)),
    }
}

fn private(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    }
    let _ = path;
    Ok(())
}

fn bad(path: &Path, why: &str) -> CliError {
    CliError::new(Exit::Usage, Text::new("err-plan-ca").with("path", path.display())).detail(why)
}

impl Files {
    fn request(&self, key: KeyRef) -> PathBuf {
        self.folder.join(format!("{}-{key}.csr", self.chip))
    }

    fn certificate(&self, key: KeyRef) -> PathBuf {
        self.folder.join(format!("{}-{key}.crt", self.chip))
    }
}

const fn index(key: KeyRef) -> usize {
    match key {
        KeyRef::Auth => 0,
        KeyRef::Sign => 1,
    }
}

struct FileIssuer<'a>(&'a Files);

impl Issuer for FileIssuer<'_> {
    fn subject(&mut self, key: KeyRef) -> Result<Name, IssuerError> {
        Ok(self.0.subjects[index(key)].clone())
    }

    fn issue(&mut self, key: KeyRef, request: &Csr) -> Result<Option<Issued>, IssuerError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| IssuerError(error);
        let text = request.to_pem().map_err(|e| failed(e.into()))?;
        write_whole(&self.0.request(key), text.as_bytes()).map_err(|e| failed(e.into()))?;
        let path = self.0.certificate(key);
        if !path.exists() {
            return Ok(None);
        }
        let found =
            from_file(&path).map_err(|e| failed(e.detail.unwrap_or_default().into()))?.into_iter().next();
        let Some(certificate) = found else { return Ok(None) };
        // Whether it fits the key and the CA is checked by personalisation, as for every CA.
        Ok(Some(Issued { certificate, ca: self.0.cas[index(key)].clone() }))
    }
}
