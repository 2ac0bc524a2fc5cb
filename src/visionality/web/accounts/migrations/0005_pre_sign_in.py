import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import visionality.runtime.ids


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_pre_denied_projects"), ("schema", "0014_pre_task_classes")]
    # allauth's tables refer to the account, and know the app that has it by its first migration only
    run_before = [
        ("account", "0001_initial"),
        ("mfa", "0001_initial"),
        ("usersessions", "0001_initial"),
        ("socialaccount", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="User",
            fields=[
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                (
                    "id",
                    models.UUIDField(
                        default=visionality.runtime.ids.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("email", models.EmailField(max_length=254, unique=True)),
                ("name", models.CharField(max_length=200)),
                ("is_active", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "db_table": "account_user",
            },
        ),
        migrations.CreateModel(
            name="SignOn",
            fields=[
                (
                    "org",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        serialize=False,
                        to="accounts.organisation",
                    ),
                ),
                ("title", models.CharField(max_length=80)),
                ("issuer", models.CharField(max_length=400)),
                ("client_id", models.CharField(max_length=191)),
                ("sealed", models.BinaryField()),
                ("organisation_key_id", models.UUIDField()),
                ("domains", models.JSONField(default=list)),
                ("joins", models.BooleanField(default=False)),
                ("joins_as", models.JSONField(default=list)),
                ("set_at", models.DateTimeField()),
            ],
            options={
                "db_table": "sign_on",
            },
        ),
        migrations.AddField(
            model_name="organisation",
            name="sign_on_only",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.CreateModel(
            name="Invitation",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=visionality.runtime.ids.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("email", models.EmailField(max_length=254)),
                ("roles", models.JSONField()),
                ("token_sha256", models.BinaryField(max_length=32, unique=True)),
                ("invited_by", models.CharField(max_length=200)),
                ("invited_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="accounts.organisation"
                    ),
                ),
            ],
            options={
                "db_table": "invitation",
            },
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=visionality.runtime.ids.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("roles", models.JSONField()),
                ("sso_issuer", models.CharField(blank=True, max_length=400)),
                ("sso_sub", models.CharField(blank=True, max_length=255)),
                ("state", models.CharField(default="active", max_length=10)),
                ("sessions_from", models.DateTimeField(null=True)),
                ("joined_at", models.DateTimeField()),
                ("entered_at", models.DateTimeField(null=True)),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="accounts.organisation"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "db_table": "membership",
                "constraints": [
                    models.UniqueConstraint(fields=("org", "user"), name="membership_user"),
                    models.UniqueConstraint(
                        condition=models.Q(("sso_sub", ""), _negated=True),
                        fields=("org", "sso_issuer", "sso_sub"),
                        name="membership_subject",
                    ),
                ],
            },
        ),
    ]
