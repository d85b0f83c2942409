//! TLS and SASL against a real broker, and that no secret is told.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use richter::wire::recording::Recorded;

use super::broker::{Broker, free_port, scratch};
use super::case::Case;
use super::kafka::case;
use super::program::richter;
use super::world::World;

const PASSWORD: &str = "correct-horse-battery";

/// A broker that also speaks TLS, with and without SASL, and the certificate to trust.
struct Secured {
    broker: Broker,
    certificate: PathBuf,
    tls: String,
    sasl: String,
}

impl Secured {
    fn start(name: &str) -> Self {
        let folder = scratch(&format!("certificate-{name}"));
        let certificate = certificate(&folder);
        let (tls, sasl) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        let plain = "org.apache.kafka.common.security.plain.PlainLoginModule required";
        let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required";
        let bearer = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required";
        let properties = format!(
            "ssl.keystore.location={}\nssl.keystore.type=PKCS12\nssl.keystore.password=keystore\nssl.key.password=keystore\n\
             sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512,OAUTHBEARER\n\
             listener.name.sasl_ssl.plain.sasl.jaas.config={plain} user_richter=\"{PASSWORD}\";\n\
             listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={scram};\n\
             listener.name.sasl_ssl.oauthbearer.sasl.jaas.config={bearer} unsecuredLoginStringClaim_sub=\"broker\";\n",
            folder.join("keystore.p12").display()
        );
        let listeners = [("SSL", tls.as_str()), ("SASL_SSL", sasl.as_str())];
        let user = format!("SCRAM-SHA-512=[name=richter,password={PASSWORD}]");
        let mut broker = Broker::with(name, &listeners, &properties, &["--add-scram", &user]);
        broker.start();
        Self { broker, certificate, tls, sasl }
    }
}

/// A key for 127.0.0.1, and its certificate in PEM.
fn certificate(folder: &Path) -> PathBuf {
    let keytool = |arguments: &[&str]| {
        let common = ["-alias", "broker", "-keystore", "keystore.p12", "-storetype", "PKCS12", "-storepass", "keystore"];
        let output = Command::new("keytool").args(arguments).args(common).current_dir(folder).output().expect("keytool starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    };
    keytool(&[
        "-genkeypair",
        "-keyalg",
        "EC",
        "-groupname",
        "secp256r1",
        "-dname",
        "CN=127.0.0.1",
        "-ext",
        "SAN=ip:127.0.0.1",
        "-validity",
        "2",
    ]);
    keytool(&["-exportcert", "-rfc", "-file", "broker.pem"]);
    folder.join("broker.pem")
}

/// A daemon that speaks to this address with these properties tells what it should, and no secret.
fn tells(name: &str, case: &Case, secured: &Secured, address: &str, kafka: &str, secrets: &[&str]) {
    let mut world = World::new(name, case, &secured.broker.address);
    world.make_sources(1);
    // Who has but a token does not make topics.
    let maker = world.start();
    world.ready();
    assert_eq!(maker.stops(), Some(0));
    address.clone_into(&mut world.address);
    world.configure(case, kafka);
    let daemon = world.start();
    world.ready();
    secured.broker.address.clone_into(&mut world.address);
    world.produce(&case.records.iter().filter(|r| r.topic == "metrics").cloned().collect::<Vec<Recorded>>());
    world.read("incidents", 1);
    let folder = world.folder.display().to_string();
    let (_, metrics) = world.http("GET", "/metrics").expect("served");
    let checked = richter(&["check", "--config", &folder]);
    for secret in secrets {
        for (what, text) in [("log", &world.log()), ("metrics", &metrics), ("check", &checked.stdout), ("check", &checked.stderr)] {
            assert!(!text.contains(secret), "{what} tells a secret");
        }
    }
    assert_eq!(daemon.stops(), Some(0), "{}", world.log());
}

fn properties(secured: &Secured, rest: &str) -> String {
    format!("  properties:\n    session.timeout.ms: 6000\n    ssl.ca.location: {}\n{rest}", secured.certificate.display())
}

#[test]
fn tls_and_sasl_work_and_no_secret_is_told() {
    let case = case("escalates_and_recovers");
    let secured = Secured::start("secured");
    let folder = scratch("secrets");
    let password = folder.join("password");
    fs::write(&password, format!("{PASSWORD}\n")).expect("written");
    let tls = properties(&secured, "    security.protocol: ssl\n");
    tells("secured-tls", &case, &secured, &secured.tls, &tls, &[]);
    for mechanism in ["SCRAM-SHA-512", "PLAIN"] {
        let rest = format!(
            "    security.protocol: sasl_ssl\n    sasl.mechanism: {mechanism}\n    sasl.username: richter\n    sasl.password: {{ file: {} }}\n",
            password.display()
        );
        let name = format!("secured-{}", mechanism.to_lowercase());
        tells(&name, &case, &secured, &secured.sasl, &properties(&secured, &rest), &[PASSWORD]);
    }
    let claims = |json: &str| URL_SAFE_NO_PAD.encode(json);
    let token = format!("{}.{}.", claims(r#"{"alg":"none"}"#), claims(r#"{"sub":"richter","iat":1700000000,"exp":4000000000}"#));
    let file = folder.join("token");
    fs::write(&file, format!("{token}\n")).expect("written");
    let rest = "    security.protocol: sasl_ssl\n    sasl.mechanism: OAUTHBEARER\n";
    let kafka = format!("  oauth_token_file: {}\n{}", file.display(), properties(&secured, rest));
    tells("secured-oauthbearer", &case, &secured, &secured.sasl, &kafka, &[&token]);
}

#[test]
fn a_wrong_password_is_an_error_that_does_not_tell_it() {
    let case = case("escalates_and_recovers");
    let secured = Secured::start("secured-wrongly");
    let wrong = scratch("wrong-secrets").join("password");
    fs::write(&wrong, "a-wrong-password").expect("written");
    let rest = format!(
        "    security.protocol: sasl_ssl\n    sasl.mechanism: SCRAM-SHA-512\n    sasl.username: richter\n    sasl.password: {{ file: {} }}\n",
        wrong.display()
    );
    let mut world = World::new("secured-wrong", &case, &secured.broker.address);
    secured.sasl.clone_into(&mut world.address);
    world.configure(&case, &properties(&secured, &rest));
    let _daemon = world.start();
    world.until("a word about it", || world.log().to_lowercase().contains("authentication failed"));
    assert_eq!(world.http("GET", "/-/ready").map(|(code, _)| code), Some(503));
    assert!(!world.log().contains("a-wrong-password"));
}
