//! Leaves that name constraints forbid (L48).

use super::*;

pub(super) fn constrained_ca(
    permitted: Vec<GeneralSubtree>,
    excluded: Vec<GeneralSubtree>,
) -> Arc<SigningCa> {
    let mut params = ca_params("constrained");
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: permitted,
        excluded_subtrees: excluded,
    });
    ca_with(&params, &KeyPair::generate().unwrap())
}

#[test]
fn l48_a_name_outside_the_cas_constraints_is_not_forged() {
    let dns = |name: &str| GeneralSubtree::DnsName(name.to_owned());
    let ca = constrained_ca(
        vec![
            dns("corp.example"),
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([10, 0, 0, 0], 8)),
        ],
        vec![dns("secret.corp.example")],
    );
    let try_forge =
        |names: &[&str]| forge(&request(&ca, issue(&origin_params(names))), &mut random());
    for good in [
        &["a.corp.example"][..],
        &["corp.example", "10.201.2.2"],
        &["*.x.corp.example"],
    ] {
        assert!(try_forge(good).is_ok(), "{good:?}");
    }
    for bad in [
        "other.example",
        "secret.corp.example",
        "*.corp.example",
        "11.0.0.1",
        "fd00::1",
    ] {
        let error = try_forge(&["a.corp.example", bad]).unwrap_err();
        assert!(
            matches!(&error, ForgeError::NameConstrained { ca, name, .. } if ca == "sluice-ca" && name == bad),
            "{error}"
        );
    }
}

#[test]
fn l48_constraints_on_the_subject_and_on_written_names_hold_too() {
    let mut organization = rcgen::DistinguishedName::new();
    organization.push(DnType::OrganizationName, "örigin  & söhne");
    let ca = constrained_ca(
        vec![GeneralSubtree::DirectoryName(organization)],
        vec![GeneralSubtree::DnsName("bank.example".to_owned())],
    );
    assert!(
        forge(
            &request(&ca, issue(&origin_params(&["a.example"]))),
            &mut random()
        )
        .is_ok(),
        "letter case does not count"
    );
    let mut other = origin_params(&["a.example"]);
    other.distinguished_name = rcgen::DistinguishedName::new();
    other
        .distinguished_name
        .push(DnType::OrganizationName, "Another");
    assert!(matches!(
        forge(&request(&ca, issue(&other)), &mut random()),
        Err(ForgeError::NameConstrained { .. })
    ));
    let mut written = request(&ca, issue(&origin_params(&[])));
    written.server_name = Some("www.bank.example".to_owned());
    assert!(matches!(
        forge(&written, &mut random()),
        Err(ForgeError::NameConstrained { .. })
    ));
}

#[test]
fn l48_constraints_of_issuers_above_hold_too() {
    let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut root = ca_params("root");
    root.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("corp.example".to_owned())],
        excluded_subtrees: Vec::new(),
    });
    let root_certificate = root.self_signed(&root_key).unwrap().der().clone();
    let intermediate = ca_params("intermediate")
        .signed_by(&key, &Issuer::new(root, root_key))
        .unwrap()
        .der()
        .clone();
    let ca = Arc::new(
        SigningCa::new(
            "ca",
            vec![intermediate.clone(), root_certificate],
            key.serialized_der(),
        )
        .unwrap(),
    );
    assert!(
        forge(
            &request(&ca, issue(&origin_params(&["other.example"]))),
            &mut random()
        )
        .is_err()
    );
    let leaf = forged(&request(&ca, issue(&origin_params(&["a.corp.example"]))));
    assert_eq!(
        leaf.chain.len(),
        2,
        "leaf and intermediate, without the root"
    );
    assert_eq!(leaf.chain[1], intermediate);
}
