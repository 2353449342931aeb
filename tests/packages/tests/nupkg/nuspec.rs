//! Rules for the nuspec.

use nupkg::{Limits, NuspecError, PackageError};
use packages::{PackageBuilder, nuspec};

use crate::{acme, judge, judge_with, refuses};

#[track_caller]
fn nuspec_error_of(xml: &[u8]) -> NuspecError {
    match judge(&PackageBuilder::default().file("a.nuspec", xml)) {
        Err(PackageError::Nuspec(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn nuspec_error(more: &str) -> NuspecError {
    nuspec_error_of(nuspec("Acme", "1.0.0", more).as_bytes())
}

/// A list of `count` dependencies or groups.
fn dependencies(count: usize, element: impl Fn(usize) -> String) -> String {
    let elements: Vec<String> = (0..count).map(element).collect();
    format!("<dependencies>{}</dependencies>", elements.concat())
}

refuses! {
    bytes_that_are_not_utf8_are_refused:
        nuspec_error_of(b"<package>\xff</package>") => NuspecError::Undecodable { .. },
    an_unknown_encoding_is_refused:
        nuspec_error_of(b"<?xml version=\"1.0\" encoding=\"klingon\"?><a/>") => NuspecError::UnknownEncoding(_),
    utf8_declared_as_utf16_is_refused:
        nuspec_error_of(b"<?xml version=\"1.0\" encoding=\"utf-16\"?><a/>") => NuspecError::WrongEncoding { .. } | NuspecError::Undecodable { .. },
    a_document_type_is_refused:
        nuspec_error_of(b"<!DOCTYPE package [<!ENTITY a \"b\">]><package/>") => NuspecError::DocumentType,
    an_empty_document_type_is_refused:
        nuspec_error_of(b"<!DOCTYPE package><package/>") => NuspecError::DocumentType,
    an_element_without_an_end_is_refused:
        nuspec_error_of(b"<package><metadata></package>") => NuspecError::Malformed(_),
    text_behind_the_document_is_refused:
        nuspec_error_of(b"<package/>x") => NuspecError::Malformed(_),
    a_control_character_by_reference_is_refused:
        nuspec_error_of(b"<package>&#1;</package>") => NuspecError::Malformed(_),
    an_unknown_entity_is_refused:
        nuspec_error_of(b"<package>&xxe;</package>") => NuspecError::Malformed(_),
    a_nuspec_without_metadata_is_refused:
        nuspec_error_of(b"<package/>") => NuspecError::NoMetadata,
    metadata_in_another_case_is_none:
        nuspec_error_of(b"<package><Metadata/></package>") => NuspecError::NoMetadata,
    an_element_that_stands_twice_is_refused:
        nuspec_error("<title>a</title><title>b</title>") => NuspecError::DuplicateElement(_),
    elements_that_differ_in_case_are_refused:
        nuspec_error("<Title>a</Title><title>b</title>") => NuspecError::ElementsDifferInCase(_),
    tags_in_another_case_are_refused:
        nuspec_error("<Tags>a</Tags>") => NuspecError::MiscasedTags(_),
    a_reserved_element_is_refused:
        nuspec_error("<listed>false</listed>") => NuspecError::ReservedElement(_),
    a_boolean_that_is_none_is_refused:
        nuspec_error("<requireLicenseAcceptance>yes</requireLicenseAcceptance>")
        => NuspecError::NotABoolean { element: "requireLicenseAcceptance", .. },
    a_serviceable_that_is_no_boolean_is_refused:
        nuspec_error("<serviceable>1</serviceable>") => NuspecError::NotABoolean { .. },
    an_id_with_spaces_around_it_is_refused:
        nuspec_error_of(nuspec(" Acme ", "1.0.0", "").as_bytes()) => NuspecError::Id(_),
    a_missing_id_is_refused:
        nuspec_error_of(nuspec("", "1.0.0", "").as_bytes()) => NuspecError::Id(_),
    the_id_of_a_template_is_refused:
        nuspec_error_of(nuspec("$id$", "1.0.0", "").as_bytes()) => NuspecError::Id(_),
    a_prefixed_namespace_hides_the_id:
        nuspec_error_of(b"<p:package xmlns:p='urn:x'><p:metadata><p:id>A</p:id><p:version>1</p:version></p:metadata></p:package>")
        => NuspecError::Id(_),
    a_missing_version_is_refused:
        nuspec_error_of(nuspec("Acme", "", "").as_bytes()) => NuspecError::NoVersion,
    a_version_that_is_none_is_refused:
        nuspec_error_of(nuspec("Acme", "1.0.0.0.0", "").as_bytes()) => NuspecError::Version(_),
    a_version_of_257_characters_is_refused:
        nuspec_error_of(nuspec("Acme", &format!("1.0.0+{}", "a".repeat(251)), "").as_bytes())
        => NuspecError::TooLong { element: "version", length: 257, limit: 256 },
    an_identity_that_no_file_can_be_called_is_refused:
        nuspec_error_of(nuspec(&"a".repeat(100), &format!("1.0.0-{}", "a".repeat(135)), "").as_bytes())
        => NuspecError::TooLong { element: "id and version", length: 241, limit: 240 },
    a_long_title_is_refused:
        nuspec_error(&format!("<title>{}</title>", "a".repeat(257)))
        => NuspecError::TooLong { element: "title", .. },
    long_release_notes_are_refused:
        nuspec_error(&format!("<releaseNotes>{}</releaseNotes>", "a".repeat(35_001)))
        => NuspecError::TooLong { element: "releaseNotes", .. },
    a_script_as_project_url_is_refused:
        nuspec_error("<projectUrl>javascript:alert(1)</projectUrl>")
        => NuspecError::NotAWebAddress { element: "projectUrl", .. },
    an_icon_url_that_dotnet_cannot_read_is_refused:
        nuspec_error("<iconUrl>http://a:99999/i.png</iconUrl>") => NuspecError::NotAWebAddress { element: "iconUrl", .. },
    a_project_url_without_a_host_is_refused:
        nuspec_error("<projectUrl>http://[</projectUrl>") => NuspecError::NotAWebAddress { element: "projectUrl", .. },
    a_relative_icon_url_is_refused:
        nuspec_error("<iconUrl>icon.png</iconUrl>") => NuspecError::NotAWebAddress { element: "iconUrl", .. },
    a_file_as_license_url_is_refused:
        nuspec_error("<licenseUrl>file:///etc/passwd</licenseUrl>")
        => NuspecError::NotAWebAddress { element: "licenseUrl", .. },
    a_package_type_without_a_name_is_refused:
        nuspec_error("<packageTypes><packageType/></packageTypes>") => NuspecError::UnnamedPackageType,
    a_package_type_that_is_no_id_is_refused:
        nuspec_error("<packageTypes><packageType name='a b'/></packageTypes>") => NuspecError::PackageTypeName(_),
    a_package_type_with_a_wrong_version_is_refused:
        nuspec_error("<packageTypes><packageType name='a' version='1-x'/></packageTypes>")
        => NuspecError::PackageTypeVersion { .. },
    a_symbols_package_is_refused:
        nuspec_error("<packageTypes><packageType name='SymbolsPackage'/></packageTypes>")
        => NuspecError::SymbolsPackage,
    too_many_package_types_are_refused:
        nuspec_error(&format!("<packageTypes>{}</packageTypes>", "<packageType name='a'/>".repeat(257)))
        => NuspecError::TooMany { element: "package types", count: 257, limit: 256 },
    a_dependency_without_an_id_is_refused:
        nuspec_error("<dependencies><dependency version='1'/></dependencies>") => NuspecError::DependencyId(_),
    a_dependency_that_no_package_can_be_is_refused:
        nuspec_error("<dependencies><dependency id='a b'/></dependencies>") => NuspecError::DependencyId(_),
    a_dependency_with_a_wrong_version_is_refused:
        nuspec_error("<dependencies><dependency id='a' version='[1'/></dependencies>")
        => NuspecError::DependencyRange { .. },
    a_floating_dependency_is_refused:
        nuspec_error("<dependencies><dependency id='a' version='1.*'/></dependencies>")
        => NuspecError::FloatingRange { .. },
    a_dependency_with_build_metadata_is_refused:
        nuspec_error("<dependencies><dependency id='a' version='[1.0,2.0+x]'/></dependencies>")
        => NuspecError::RangeWithMetadata { .. },
    a_dependency_named_twice_with_different_versions_is_refused:
        nuspec_error("<dependencies><dependency id='a' version='1.0'/><dependency id='A' version='2.0'/></dependencies>")
        => NuspecError::DuplicateDependency(_),
    two_groups_for_one_framework_are_refused:
        nuspec_error("<dependencies><group targetFramework='net45'/><group targetFramework='.NETFramework4.5'/></dependencies>")
        => NuspecError::DuplicateGroup(_),
    dependencies_beyond_the_limit_are_refused:
        nuspec_error(&dependencies(800, |n| format!("<dependency id='{}{n}' version='1.0'/>", "a".repeat(30))))
        => NuspecError::TooLong { element: "list of dependencies", .. },
    too_many_dependencies_are_refused:
        nuspec_error(&dependencies(8193, |_| "<dependency id='a'/>".to_owned()))
        => NuspecError::TooMany { element: "dependencies", .. },
    too_many_groups_are_refused:
        nuspec_error(&dependencies(1025, |n| format!("<group targetFramework='x{n}'/>")))
        => NuspecError::TooMany { element: "dependency groups", .. },
    too_many_elements_are_refused:
        nuspec_error(&format!("<x>{}</x>", "<a/>".repeat(250_000))) => NuspecError::TooManyNodes { .. },
    too_many_attributes_are_refused: {
        let attributes: Vec<String> = (0..100_000).map(|n| format!(" a{n}=''")).collect();
        nuspec_error(&format!("<x{}/>", attributes.concat()))
    } => NuspecError::TooMany { element: "attributes on one element", .. },
    too_many_namespaces_are_refused: {
        let open: Vec<String> = (0..10_000).map(|n| format!("<a xmlns:p{n}='u'>")).collect();
        nuspec_error(&format!("{}{}", open.concat(), "</a>".repeat(10_000)))
    } => NuspecError::TooMany { element: "namespace declarations", count: 10_001, limit: 512 },
    a_least_client_that_is_no_version_is_refused:
        nuspec_error_of(nuspec("Acme", "1.0.0", "").replace("<metadata>", "<metadata minClientVersion='new'>").as_bytes())
        => NuspecError::MinClientVersion(_),
    an_empty_least_client_is_refused:
        nuspec_error_of(nuspec("Acme", "1.0.0", "").replace("<metadata>", "<metadata minClientVersion=''>").as_bytes())
        => NuspecError::MinClientVersion(_),
    an_empty_version_of_a_package_type_is_refused:
        nuspec_error("<packageTypes><packageType name='a' version=''/></packageTypes>")
        => NuspecError::PackageTypeVersion { .. },
    a_group_for_a_framework_that_nuget_throws_at_is_refused:
        nuspec_error("<dependencies><group targetFramework='.NETFramework,Version=vX'/></dependencies>")
        => NuspecError::TargetFramework(_),
    references_for_a_framework_that_nuget_throws_at_are_refused:
        nuspec_error("<references><group targetFramework=','><reference file='a.dll'/></group></references>")
        => NuspecError::TargetFramework(_),
    a_framework_assembly_for_a_framework_that_nuget_throws_at_is_refused:
        nuspec_error("<frameworkAssemblies><frameworkAssembly assemblyName='A' targetFramework='net45, portable-net45-cf'/></frameworkAssemblies>")
        => NuspecError::TargetFramework(_),
    framework_references_for_no_framework_are_refused:
        nuspec_error("<frameworkReferences><group><frameworkReference name='A'/></group></frameworkReferences>")
        => NuspecError::MissingAttribute { element: "group", attribute: "targetFramework" },
    a_framework_reference_without_a_name_is_refused:
        nuspec_error("<frameworkReferences><group targetFramework='net8.0'><frameworkReference/></group></frameworkReferences>")
        => NuspecError::MissingAttribute { element: "frameworkReference", attribute: "name" },
    content_files_that_include_nothing_are_refused:
        nuspec_error("<contentFiles><files buildAction='None'/></contentFiles>")
        => NuspecError::MissingAttribute { element: "files", attribute: "include" },
    content_files_copied_neither_so_nor_so_are_refused:
        nuspec_error("<contentFiles><files include='**' copyToOutput='1'/></contentFiles>")
        => NuspecError::NotABoolean { element: "copyToOutput", .. },
    content_files_flattened_neither_so_nor_so_are_refused:
        nuspec_error("<contentFiles><files include='**' flatten=''/></contentFiles>")
        => NuspecError::NotABoolean { element: "flatten", .. },
    a_license_of_neither_kind_is_refused:
        nuspec_error("<license>MIT</license>") => NuspecError::LicenseType(_),
    a_license_of_another_version_is_refused:
        nuspec_error("<license type='expression' version='2.0.0'>MIT</license>") => NuspecError::LicenseVersion(_),
    elements_in_a_readme_are_refused:
        nuspec_error("<readme><b/></readme>") => NuspecError::NotText("readme"),
}

#[test]
fn a_nuspec_that_does_not_deflate_far_enough_is_refused() {
    let limits = Limits { deflated_nuspec_bytes: 50, ..Limits::default() };
    let refused = judge_with(&acme().build(), &limits);
    let error = PackageError::Nuspec(NuspecError::TooLargeDeflated { bytes: 0, limit: 0 });
    assert_eq!(std::mem::discriminant(&refused.unwrap_err()), std::mem::discriminant(&error));
}

/// XML around a plain nuspec, or in its place.
fn document(prolog: &str, root: &str, more: &str) -> String {
    format!(
        "{prolog}<package{root}><metadata><id>Acme</id><version>1.0</version>{more}</metadata></package>"
    )
}

#[test]
fn xml_that_dotnet_throws_at_is_refused() {
    let plain = |more: &str| document("", "", more);
    let root = |attribute: &str| document("", attribute, "");
    let prolog = |prolog: &str| document(prolog, "", "");
    for xml in [
        prolog("<?xml version='1.1'?>"),
        prolog("<?xml version='1.2' encoding='utf-8'?>"),
        prolog("<?xml version=''?>"),
        prolog("<?xml encoding='utf-8'?>"),
        prolog("<?xml\tversion='1.1'?>"),
        prolog("<?xml version='1.0' standalone='YES'?>"),
        prolog("<?xml version='1.0' standalone='yes' encoding='utf-8'?>"),
        prolog("<?xml version='1.0' other='x'?>"),
        prolog("<?xml version='1.0'encoding='utf-8'?>"),
        prolog("<?xml version='1.0' encoding='utf8'?>"),
        prolog("<?xml version='1.0' encoding=''?>"),
        prolog(" <?xml version='1.0'?>"),
        prolog("<?XML a?>"),
        prolog("<?xml version='1.0'?><?Xml a?>"),
        prolog("<?a:b c?>"),
        prolog("\u{feff}\u{feff}"),
        plain("<?xml version='1.0'?>"),
        plain("a ]]> b"),
        plain("<!-- a -- b -->"),
        plain("<!-- a --->"),
        plain("&#xFFFF;"),
        plain("&#xD83D;&#xDE00;"),
        plain("&#X41;"),
        plain("<a b='1'c='2'/>"),
        plain("<a b='<'/>"),
        plain("<a b='1' b='2'/>"),
        plain("<a xml:space='other'/>"),
        plain("<a xmlns:p=''/>"),
        plain("<a xmlns:xmlns='urn:x'/>"),
        plain("<a xmlns:xml='urn:x'/>"),
        plain("<a xmlns:p='http://www.w3.org/2000/xmlns/'/>"),
        plain("<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>"),
        plain("<p:a/>"),
        plain("<a p:b='1'/>"),
        plain("<a xmlns:p='urn:x'><p:1a/></a>"),
        plain("<a:b:c/>"),
        plain("<\u{10400}/>"),
        plain("<a\u{203f}/>"),
        plain("<\u{9fff}/>"),
        plain("<a \u{1d4b3}='1'/>"),
        root(" xmlns='http://www.w3.org/2000/xmlns/'"),
        root(" xmlns='http://www.w3.org/XML/1998/namespace'"),
        format!("{}x", plain("")),
        format!("{}<![CDATA[x]]>", plain("")),
    ] {
        let parsed = nupkg::Nuspec::parse(xml.as_bytes(), &Limits::default());
        assert!(parsed.is_err(), "{xml}");
    }
}

#[test]
fn xml_that_dotnet_reads_is_taken() {
    for xml in [
        document("<?xml version='1.0'?>", "", ""),
        document("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\" ?>\n", "", ""),
        document("\n<?xml-stylesheet a?><!-- <?xml a?> -->", "", ""),
        document("\u{feff}", " xmlns:xml='http://www.w3.org/XML/1998/namespace'", ""),
        document("", " xmlns=''", "<a xmlns:p='urn:x' xml:space='preserve' p:b='>' c = '/'/>"),
        document("", "", "<\u{43c}\u{435}\u{442}\u{430}/><a>\u{7f}\u{85}\u{1f600}</a>"),
        document("", "", "<description><![CDATA[<?XML a?><1/>]]></description>"),
    ] {
        nupkg::Nuspec::parse(xml.as_bytes(), &Limits::default()).expect(&xml);
    }
}

#[test]
fn attributes_in_text_do_not_count() {
    let text = "a='b' ".repeat(100);
    let more = format!("<summary>{text}<!-- <{text}> --><![CDATA[ <{text}> ]]></summary>");
    let package = PackageBuilder::default().nuspec(&nuspec("Acme", "1.0.0", &more));
    judge(&package).unwrap();
}

#[test]
fn a_deep_nuspec_is_answered() {
    let deep = format!("{}{}", "<a>".repeat(24_000), "</a>".repeat(24_000));
    let package = PackageBuilder::default().nuspec(&nuspec("Acme", "1.0.0", &deep));
    judge(&package).unwrap();
}

#[test]
fn what_only_a_public_gallery_wants_is_not_asked_for() {
    for xml in [
        "<package><metadata><id>A</id><version>1</version></metadata></package>".to_owned(),
        "<x xmlns='urn:foo'><metadata><id>A<!--x-->B</id><version> 1.0 </version></metadata></x>"
            .to_owned(),
        nuspec("Acme", "1.0.0-1", "<dependencies><dependency id='a'/></dependencies>"),
        nuspec("Acme", "1.0.0", "<license type='expression'>LicenseRef-Acme</license>"),
        nuspec("Acme", "1.0.0", "<dependencies><group targetFramework='martian1'/></dependencies>"),
        nuspec(
            "Acme",
            "1.0.0",
            "<dependencies><dependency id='a'/><dependency id='a'/></dependencies>",
        ),
    ] {
        let package = PackageBuilder::default().file("x.nuspec", xml.as_bytes());
        assert!(judge(&package).is_ok(), "{xml}");
    }
}

#[test]
fn every_encoding_that_dotnet_reads_is_read() {
    let text = nuspec("Acme", "1.0.0", "<title>Grüße</title>");
    let utf16 = |units: Vec<[u8; 2]>, bom: &[u8]| [bom, &units.concat()].concat();
    let wide = text.replace("utf-8", "utf-16");
    let little: Vec<_> = wide.encode_utf16().map(u16::to_le_bytes).collect();
    let big: Vec<_> = wide.encode_utf16().map(u16::to_be_bytes).collect();
    let latin: Vec<u8> =
        text.replace("utf-8", "iso-8859-1").chars().map(|c| u8::try_from(c).unwrap()).collect();
    for xml in [
        text.clone().into_bytes(),
        [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        utf16(little.clone(), b"\xff\xfe"),
        utf16(big, b"\xfe\xff"),
        utf16(little, b""),
        latin,
    ] {
        let package = judge(&PackageBuilder::default().file("a.nuspec", &xml)).unwrap();
        assert_eq!(package.nuspec.title.as_deref(), Some("Grüße"));
    }
}

#[test]
fn what_a_package_says_of_itself_is_read() {
    let xml = nuspec(
        "Acme.Core",
        "01.2-Beta+build",
        "<title> T </title><tags>a b</tags><projectUrl>https://example.org/</projectUrl>
         <license type=\"expression\">MIT</license><icon>images\\icon.png</icon><readme>README.md</readme>
         <repository type=\"git\" url=\"https://example.org/r\" commit=\"abc\"/>
         <packageTypes><packageType name=\"DotnetTool\"/></packageTypes>
         <requireLicenseAcceptance>TRUE</requireLicenseAcceptance>
         <dependencies>
           <dependency id=\"Ignored\"/>
           <group><dependency id=\"Any\" version=\"\"/></group>
           <group targetFramework=\"net8.0\"><dependency id=\"B\" version=\"[1.0,2.0)\" exclude=\"Build\"/></group>
         </dependencies>",
    );
    let package = PackageBuilder::default()
        .nuspec(&xml)
        .file("images/icon.png", b"\x89PNG")
        .file("README.md", b"# Hello");
    insta::assert_debug_snapshot!(judge(&package).unwrap().nuspec);
}
