use super::*;

// Made with ansible-vault of ansible-core 2.19; the password is `hunter22`, that of `prod` is `other`.
const WHOLE: &str = "$ANSIBLE_VAULT;1.1;AES256
37313261613063313536663832643333366461353765306262313632643866666566343134653562
6430383532323130376661336332333762636537326236390a346361613832666639326534643661
31633263653262396633623061653466636337633035363338333532646666366436396462303737
3534366234643532640a313032393939353934306132613938313166363030653566333933323236
63626335383964363035386664656566636430613534653139666432363338643065336264616639
6332306566366234656234333435363837373966623539616130
";
const PLAIN: &str = "$ANSIBLE_VAULT;1.1;AES256
63623330336331323438363964316465643130323038383130356166363066363934373236653039
3666346534373538336563376237653862623862646534650a346638613037316537396234383232
30623731333331356532613731386239356666623931653662616536373134636364323638383938
6166313035363037640a376566316135346264336464393435643831323030633834303533343361
3237
";
const PROD: &str = "$ANSIBLE_VAULT;1.2;AES256;prod
61333835313436623264303033376665623762313531613562306235636233616631393862333638
6538383238366166653233386463306230396433636537360a396539316232356238613634613561
65613435663239393434383462663166303130343934646637613562336466646363323561616364
3863323161363135620a303864336330326634303664333866323134366538396663373361313237
3831
";
const BROKEN: &str = "$ANSIBLE_VAULT;1.1;AES256
36333830313430343135613863373536323134636431363863316534373962643165333565633333
3463313265616132613863356130646663316230383233360a633532393339356364333339353264
65653765313562366530333832333935323861343761663436616664363837663436306462666138
3630383865343035620a383138666233636264393566653639636466396131326237333430393861
32313662623961613762336562343238663463363039656239653836626335353665
";

fn passwords() -> Vec<(String, Secret)> {
    vec![
        ("default".into(), Secret::new("hunter22")),
        ("prod".into(), Secret::new("other")),
    ]
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("    {line}\n"));
    lines.collect::<Vec<_>>().concat()
}

fn parse(text: &str, vault: &Vault) -> (Option<Node>, String) {
    let mut faults = Diagnostics::new();
    let source = Source::new("group_vars/all.yml", text);
    let node = vault.parse(&source, &mut faults);
    let lines: Vec<String> = faults
        .iter()
        .map(|d| {
            let help = d.help.as_ref().map(|help| format!(" ({help})"));
            let span = d.span.as_ref().expect("a place");
            format!("{span} {}{}", d.message, help.unwrap_or_default())
        })
        .collect();
    (node, lines.join("\n"))
}

#[test]
fn texts_of_both_formats_are_opened_by_the_password_that_fits() {
    assert_eq!(decrypt(PLAIN, &passwords()).unwrap().reveal(), "s3cret");
    assert_eq!(decrypt(PROD, &passwords()).unwrap().reveal(), "prod s3cret");
    let wrong = decrypt(PROD, &passwords()[..1]).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "no vault password fits (tried `default`)"
    );
}

#[test]
fn damaged_text_is_an_error() {
    let cases = [
        "$ANSIBLE_VAULT;1.1;AES256",
        "$ANSIBLE_VAULT;1.1;AES256\nxyz\n",
        "$ANSIBLE_VAULT;1.1;AES256\n3030\n",
        "$ANSIBLE_VAULT;9;AES\n00\n",
        &PLAIN.replace("3237\n", "3238\n"),
        &PLAIN.replace("6166313035363037640a", "6166313035363037640b"),
    ];
    let errors: Vec<String> = cases
        .iter()
        .map(|text| decrypt(text, &passwords()[..1]).unwrap_err().to_string())
        .collect();
    insta::assert_snapshot!(errors.join("\n"), @"
    damaged vault text: no lines behind the header
    damaged vault text: not hexadecimal
    damaged vault text: not three parts
    vault format `$ANSIBLE_VAULT;9;AES` is unknown
    no vault password fits (tried `default`)
    damaged vault text: its parts are not hexadecimal
    ");
}

#[test]
fn inline_values_are_opened_and_masked() {
    let vault = Vault::new(passwords());
    let text = format!("user: kafka\npassword: !vault |\n{}", indented(PLAIN));
    let (node, faults) = parse(&text, &vault);
    assert_eq!(faults, "");
    let node = node.unwrap();
    assert_eq!(node.entry("password").unwrap().as_str(), Some("s3cret"));
    assert_eq!(vault.masks().mask("kafka s3cret"), "kafka ***");
}

#[test]
fn an_inline_value_without_a_password_is_a_fault_at_its_place() {
    let text = format!("user: kafka\npassword: !vault |\n{}", indented(PLAIN));
    let (_, faults) = parse(&text, &Vault::default());
    insta::assert_snapshot!(faults, @"group_vars/all.yml:2:11 a vault password is needed (give one with `--vault-password-file FILE` or `--ask-vault-pass`)");
}

#[test]
fn a_whole_file_is_opened_and_its_places_show_no_text() {
    let vault = Vault::new(passwords());
    let (node, faults) = parse(WHOLE, &vault);
    assert_eq!(faults, "");
    let node = node.unwrap();
    let password = node.entry("db_password").unwrap();
    assert_eq!(password.as_str(), Some("s3cret-value"));
    assert_eq!(password.span.source.text, "");
    assert_eq!(vault.masks().mask("x s3cret-value"), "x ***");
}

#[test]
fn faults_of_a_whole_file_do_not_quote_it() {
    let (_, faults) = parse(BROKEN, &Vault::new(passwords()));
    insta::assert_snapshot!(faults, @"group_vars/all.yml:1:1 invalid YAML in line 2 of the decrypted text");
    let (_, faults) = parse(WHOLE, &Vault::default());
    insta::assert_snapshot!(faults, @"group_vars/all.yml:1:1 a vault password is needed (give one with `--vault-password-file FILE` or `--ask-vault-pass`)");
}
